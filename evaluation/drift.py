"""Drift between training and test examples, and the reference for drift of requests."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from apps.app import ModalityName
from evaluation.finding import Finding
from inference.drift.columns import COMPARED, Columns
from inference.drift.known_values import KnownValues
from inference.drift.reference import MAX_COLUMNS, REFERENCE, Bins, Kind, Reference
from inference.drift.statistics import TestResult, chi_square, holm, kolmogorov_smirnov, psi
from pipelines.examples import Examples
from pipelines.ids.splitting import NewestPairs, NewIds
from pipelines.splits import Splits
from pipelines.time_splits import TimeScheme
from training.run import Run, write_json

MAX_EXAMPLES = 20_000  # of a split that are compared
MAX_IMAGES = 5_000
MAX_ID_PAIRS = 2_000_000  # whose users and items are known
TARGET = "(target)"
PREDICTION = "prediction"
SIGNIFICANT = 0.05  # p after Holm's correction
MIN_PSI = 0.1  # of a column that is named
STRONG_PSI = 0.25
MAX_NAMED = 5
MIN_COLD_SHARE = 0.1  # of test pairs with an unknown user or item
LENGTH_KINDS = ("text", "list")  # kinds of columns of which the length is compared


def drift(splits: Splits, modality: ModalityName, titles: Mapping[str, str]) -> dict[str, Any]:
    """Compare each column of test examples with that of training examples.

    Numbers have the Kolmogorov-Smirnov test, categories the chi-square test; `p_holm` is corrected
    for the number of columns. `psi` is measured over ten bins of training examples. Of groups one
    example each is compared. `cold` holds the shares of test pairs whose user or item is unknown
    to training. `split` says whether the test examples are meant to differ: time, new ids, or "".

    Args:
        splits: with the training and test examples.
        modality: of the inputs.
        titles: names of columns for people, by name.

    """
    train, test = (_sample(part, modality) for part in (splits.train, splits.test))
    first, second, known = _columns(train, test, modality, _all_ids(splits, modality))
    kinds = _kinds(splits.train, first)
    if not splits.is_multilabel:
        first[TARGET], second[TARGET] = (_targets(part, splits) for part in (train, test))
        kinds[TARGET] = "category" if splits.labels else "number"
    rows: list[dict[str, Any]] = []
    for name in list(first)[:MAX_COLUMNS]:
        bins = Bins.of(name, kinds[name], first[name])
        counts = bins.histogram(second[name])
        test_result = _test(bins, first[name], second[name], counts)
        rows.append(
            {
                "column": titles.get(name, name),
                "kind": kinds[name],
                "psi": round(psi(bins.counts, counts), 6),
                "test": test_result.name,
                "statistic": test_result.statistic,
                "p": test_result.p,
            }
        )
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    rows.sort(key=lambda row: (row["p_holm"] > SIGNIFICANT, -row["psi"]))
    return {
        "columns": rows,
        "train": len(train),
        "test": len(test),
        "cold": _cold(test, known) if modality == "ids" else {},
        "split": _split_kind(splits),
    }


def of_run(run: Run) -> dict[str, Any]:
    """Return `drift` of a run, for scores.json."""
    return drift(run.splits, run.modality, _titles(run))


def _titles(run: Run) -> dict[str, str]:
    names = (run.manifest.get("reading") or {}).get("names") or {}
    return {name: title for title, name in names.items()} if run.modality == "row" else {}


def _split_kind(splits: Splits) -> str:
    if isinstance(splits.scheme, TimeScheme | NewestPairs):
        return "time"
    return "new ids" if isinstance(splits.scheme, NewIds) else ""


def _sample(examples: Examples, modality: ModalityName) -> Examples:
    """Return some examples; of each group one, since examples of a group are no separate draws."""
    if examples.group_hashes is not None:
        _, positions = np.unique(examples.split_hashes(), return_index=True)
        examples = examples.select(np.sort(positions))
    return examples.sample(MAX_IMAGES if modality == "image" else MAX_EXAMPLES)


def raw_inputs(examples: Examples, modality: ModalityName) -> dict[str, Any]:
    """Return the features of examples under the names of an export's inputs."""
    if examples.columns:
        return {name: column[examples.rows] for name, column in examples.columns.items()}
    name = "pixels" if modality == "image" else "text"
    return {name: examples.numpy().features}


def _columns(
    train: Examples,
    test: Examples,
    modality: ModalityName,
    everything: dict[str, Any] | None,
) -> tuple[Columns, Columns, dict[str, KnownValues]]:
    """Return the columns of both, and the words or ids of training.

    Words are those of one half of the training texts: all words of a text are known to itself.
    Ids are those of `everything`.
    """
    compared = COMPARED[modality]
    if modality == "text":
        order = np.random.default_rng(0).permutation(len(train))
        half = train.select(np.sort(order[: len(train) // 2]))
        train = train.select(np.sort(order[len(train) // 2 :]))
        found = compared.known(raw_inputs(half, modality))
        known = {name: one for name, one in found.items() if one is not None}
        first = compared.columns(raw_inputs(train, modality), known)
        return first, compared.columns(raw_inputs(test, modality), known), known
    inputs = raw_inputs(train, modality)
    found = compared.known(inputs if everything is None else everything)
    known = {name: one for name, one in found.items() if one is not None}
    # Of ids the shares of unknown ones are compared with 0, without a test.
    return compared.columns(inputs, {}), compared.columns(raw_inputs(test, modality), {}), known


def _all_ids(splits: Splits, modality: ModalityName) -> dict[str, Any] | None:
    """Return the ids of all training pairs, or of a large sample; None for other modalities."""
    if modality != "ids":
        return None
    return raw_inputs(splits.train.sample(MAX_ID_PAIRS), modality)


def _kinds(train: Examples, columns: Columns) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for name, column in columns.items():
        kinds[name] = "number" if column.dtype.kind == "f" else "category"
        if train.kinds and train.kinds.get(name) in LENGTH_KINDS:
            kinds[name] = "length"
    return kinds


def _targets(examples: Examples, splits: Splits) -> np.ndarray:
    if splits.labels:
        return np.array([label.encode() for label in splits.labels], object)[examples.targets]
    return examples.targets.astype("float64")


def _test(bins: Bins, first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> TestResult:
    from inference.drift.reference import as_numbers

    if bins.kind == "category":
        return chi_square(bins.counts, counts)
    return kolmogorov_smirnov(as_numbers(first, bins.kind), as_numbers(second, bins.kind))


def _cold(test: Examples, known: Mapping[str, KnownValues]) -> dict[str, float]:
    """Return the shares of test pairs with an unknown user or item."""
    return {
        side: float(1 - ids.contain(test.columns[side][test.rows]).mean())
        for side, ids in known.items()
        if side in test.columns
    }


def drift_findings(found: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Find columns whose test examples differ clearly and significantly from training."""
    if not found:
        return
    shifted = [
        row for row in found["columns"] if row["p_holm"] < SIGNIFICANT and row["psi"] >= MIN_PSI
    ]
    if shifted:
        yield Finding("drift", f"{_named(shifted)} {_remedy(found['split'])}")
    cold = {side: share for side, share in found["cold"].items() if share >= MIN_COLD_SHARE}
    if cold and found["split"] != "new ids":
        shares = " and ".join(f"{share:.0%} have a new {side}" for side, share in cold.items())
        yield Finding(
            "cold_start",
            f"Of the test pairs, {shares}, which training lacks. The score mixes known and new "
            "ones: train with --items or --users if you have tables of them, and expect worse "
            "predictions where new ones are more frequent.",
        )


def _named(shifted: list[dict[str, Any]]) -> str:
    named = ", ".join(f"{row['column']} (PSI {row['psi']:.2f})" for row in shifted[:MAX_NAMED])
    more = f" and {len(shifted) - MAX_NAMED:,} more columns" if shifted[MAX_NAMED:] else ""
    strong = "strongly " if shifted[0]["psi"] >= STRONG_PSI else ""
    return f"The test examples differ {strong}from the training examples in {named}{more}."


def _remedy(split: str) -> str:
    if split == "time":
        return (
            "They are newer, so some drift is natural, and the score includes it. Expect more in "
            "use: train again with new data regularly, and serve with --watch."
        )
    if split == "new ids":
        return "Test users or items are new on purpose, so some difference is natural."
    return (
        "The score holds for data like the test examples only. Find out which of the two is like "
        "the data in use: train on such data, or test on a random part of all data."
    )


def write_reference(run: Run, predictions: Any) -> None:
    """Write reference.json, with which a server compares requests."""
    train = _sample(run.splits.train, run.modality)
    ids = _all_ids(run.splits, run.modality)
    first, _, known = _columns(train, train.select(np.arange(1)), run.modality, ids)
    kinds = _kinds(run.splits.train, first)
    if run.modality == "ids":  # a training pair has no unknown id
        first |= {f"{side} known": np.full(len(train), b"known") for side in known}
        kinds |= {f"{side} known": "category" for side in known}
    inputs = [Bins.of(name, kinds[name], first[name]) for name in list(first)[:MAX_COLUMNS]]
    reference = Reference(run.modality, tuple(inputs), _outputs(run, predictions), known)
    write_json(run.path / REFERENCE, reference.to_json())


def _outputs(run: Run, predictions: Any) -> tuple[Bins, ...]:
    """Return the bins of the predicted classes or numbers."""
    if run.task == "classification":
        labels = np.array([label.encode() for label in run.manifest["labels"]], object)
        return (Bins.of(PREDICTION, "category", labels[predictions.predicted]),)
    if run.task == "regression":
        return (Bins.of(PREDICTION, "number", predictions.predicted),)
    return ()
