"""Compare runs: show fields and scores in one table, and warn if scores are not comparable."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evaluation import rounding, scores_file
from training.run import Run


class Comparison(NamedTuple):
    """Several runs in one table.

    Attributes:
        columns: the run, the fields in which the runs differ, the metrics, and facts of training.
        rows: a dict for each run, with unrounded numbers; `intervals` holds those of the metrics.
        warnings: sentences that say why scores are not comparable.
        units: of the metrics, if known.

    """

    columns: list[str]
    rows: list[dict[str, Any]]
    warnings: list[str]
    units: dict[str, str]

    def cells(self) -> list[list[Any]]:
        """Return the rows with rounded numbers."""
        return [[_cell(row, name) for name in self.columns] for row in self.rows]


class NotComparableError(ValueError):
    """The scores of runs are not comparable."""

    exit_status = 1


def compare(runs: Sequence[Run]) -> Comparison:
    """Put the fields in which runs differ and their test scores into one table.

    Raises RunError if a run has not been evaluated.
    """
    manifests = [
        {"app": run.manifest["app"], **run.manifest["fields"], **run.manifest.get("chosen", {})}
        for run in runs
    ]
    names = list(dict.fromkeys(name for fields in manifests for name in fields))
    different = [name for name in names if len({str(fields.get(name)) for fields in manifests}) > 1]
    scores = [scores_file.read(run) for run in runs]
    metrics = list(dict.fromkeys(name for scored in scores for name in scored["test"]))
    rows = [
        {
            "run": run.path.name,
            **{name: fields.get(name, "") for name in different},
            **{name: scored["test"].get(name) for name in metrics},
            "parameters": run.manifest["parameters"],
            "seconds": run.manifest["seconds"]["train"],
            "other_runs": (scored.get("test_set") or {}).get("other_runs"),
            "intervals": scored["intervals"],
        }
        for run, fields, scored in zip(runs, manifests, scores, strict=True)
    ]
    columns = ["run", *different, *metrics, "parameters", "seconds", "other_runs"]
    units = {name: unit for scored in scores for name, unit in scored.get("units", {}).items()}
    return Comparison(columns, rows, _warnings(runs), units)


def require_comparable(comparison: Comparison) -> None:
    """Raise NotComparableError if the data, splits or folds of the runs differ."""
    if comparison.warnings:
        raise NotComparableError(
            f"Received runs that cannot be compared: {' '.join(comparison.warnings)} Expected the "
            "same data, splits and fold. Train them anew on the same, or leave out --strict."
        )


def _warnings(runs: Sequence[Run]) -> list[str]:
    """Return a sentence about the parts of the data that differ between the runs, if any do."""
    differing = [part for part in ("test", "valid", "train") if _differs(runs, part)]
    if not differing:
        return []
    difference = f"The runs differ in their {_join_words(differing)} examples{_reason(runs)}."
    if "test" in differing:
        return [f"{difference} Their scores do not show which is better."]
    return [f"{difference} They were evaluated on the same test examples."]


def _differs(runs: Sequence[Run], part: str) -> bool:
    data_of_runs = [run.manifest["data"] for run in runs]
    if all("parts" in data for data in data_of_runs):
        return len({data["parts"].get(part) for data in data_of_runs}) > 1
    # Runs of an earlier version hold one digest of all parts.
    return len({data["fingerprint"] for data in data_of_runs}) > 1


def _reason(runs: Sequence[Run]) -> str:
    """Return the differing settings that choose the data, in parentheses."""
    settings = []
    for name in ("data", "test", "split", "target"):
        values = {str(run.manifest["fields"].get(name, "")) for run in runs}
        if len(values) > 1:
            settings.append(f"{name}: {' and '.join(sorted(repr(value) for value in values))}")
    folds = {_fold(run) for run in runs}
    if len(folds) > 1:
        settings.append(f"folds: {' and '.join(sorted(folds))}")
    if len({str(run.manifest["data"].get("quarantine")) for run in runs}) > 1:
        settings.append("quarantine lists")
    return f" ({'; '.join(settings)})" if settings else ""


def _fold(run: Run) -> str:
    fold = run.fold
    return f"{fold.number} of {fold.of}" if fold else "none"


def _join_words(parts: list[str]) -> str:
    words = ["validation" if part == "valid" else part for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _cell(row: dict[str, Any], name: str) -> Any:
    value = row[name]
    if value is None:
        return ""
    interval = row["intervals"].get(name)
    return rounding.with_interval(value, interval) if interval else value
