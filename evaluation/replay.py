"""Train a run again from its manifest, and find the first number that differs."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from evaluation import history, report, scores_file
from training.run import SCORES, Run, RunError
from training.train import train

# Of the larger number; another order of additions may cause such a difference.
RELATIVE_TOLERANCE = 1e-3
UNCOMPARED_COLUMNS = ("seconds",)  # of history.csv

Verdict = Literal["bit-equal", "within tolerance", "different"]


class Replay(NamedTuple):
    """Result of comparing a run with its replay.

    Attributes:
        verdict: on all numbers of the history, the scores and the weights.
        compared: the number of compared numbers.
        first: the first number that differs, as text; empty if all are equal.
        largest: the largest relative difference; None if it is not finite.
        elsewhere: versions and hardware that differ, as text.

    """

    verdict: Verdict
    compared: int
    first: str
    largest: float | None
    elsewhere: list[str]


class ReplayDiffersError(RuntimeError):
    """A replay differs from the run."""

    exit_status = 1


def replay(run: Run, path: Path | None = None, *, verbose: int = 2) -> Replay:
    """Train a run's app again in a new directory, evaluate it, and compare it with the run.

    Without `path` the second run is temporary. The comparison of a stopped run covers the epochs
    that it finished. Raises RunError for a run that continued another one with --force.
    """
    if path is None:
        with tempfile.TemporaryDirectory() as folder:
            return replay(run, Path(folder) / "replay", verbose=verbose)
    forced = run.manifest.get("forced")
    if forced:
        raise RunError(
            f"Received the run {run.path}, which was resumed in spite of {'; '.join(forced)}; "
            "expected a run of a single command. Train it anew."
        )
    # Damaged files would prevent the comparison: raise before training.
    _history(run)
    if (run.path / SCORES).exists():
        scores_file.read(run)
    options = dataclasses.replace(run.train_options, run_dir=path)
    repeated = train(
        run.app,
        options,
        fold=run.fold,
        verbose=verbose,
        time_record=run.manifest.get("time_limit"),
    )
    report.score_replay(repeated)
    return _compare(run, repeated)


def _compare(run: Run, repeated: Run) -> Replay:
    first, largest, count = "", 0.0, 0
    for name, then, now in _paired_numbers(run, repeated):
        count += np.size(then)
        if _are_equal(then, now):
            continue
        first = first or f"{name}: {_text(now)} now, {_text(then)} then"
        largest = max(largest, _difference(then, now))
    verdict: Verdict = "different" if largest > RELATIVE_TOLERANCE else "within tolerance"
    elsewhere = [
        f"{name} {repeated.manifest[name]} now, {run.manifest[name]} then"
        for name in ("versions", "hardware", "devices")
        if run.manifest[name] != repeated.manifest[name]
    ]
    finite = largest if np.isfinite(largest) else None  # JSON has no infinity
    return Replay(verdict if first else "bit-equal", count, first, finite, elsewhere)


def _paired_numbers(run: Run, repeated: Run) -> Iterator[tuple[str, Any, Any]]:
    """Yield a name and the numbers of both runs, in the order of training."""
    then, now = _history(run), _history(repeated)
    for row in range(min(len(then["epoch"]), len(now["epoch"]))):
        for name in then:
            other = now[name][row] if name in now else np.nan
            yield f"epoch {then['epoch'][row]:.0f}, {name}", then[name][row], other
    if run.manifest["stopped"]:
        return
    for name in ("epochs", "best_epoch"):
        yield name, run.manifest[name], repeated.manifest[name]
    variables, others = run.model.weights, repeated.model.get_weights()
    # Other data, such as a table with one more column of texts, make another model.
    yield "number of variables", len(variables), len(others)
    for variable, one, other in zip(variables, run.model.get_weights(), others, strict=False):
        yield f"weights {variable.path}", one, other
    if (run.path / SCORES).exists():
        then, now = (scores_file.read(one)["test"] for one in (run, repeated))
        for name, value in then.items():
            yield f"test {name}", value, now.get(name, float("nan"))


def _history(run: Run) -> dict[str, list[float]]:
    columns = history.read(run.path / "history.csv")
    return {name: column for name, column in columns.items() if name not in UNCOMPARED_COLUMNS}


def _are_equal(then: Any, now: Any) -> bool:
    return bool(np.array_equal(then, now, equal_nan=np.asarray(then).dtype.kind == "f"))


def _difference(then: Any, now: Any) -> float:
    if np.shape(then) != np.shape(now) or np.asarray(then).dtype.kind not in "fiu":
        return np.inf
    scale = max(np.max(np.abs(then)), np.max(np.abs(now)))
    difference = np.max(np.abs(np.subtract(then, now, dtype="float64"))) / scale
    return float(difference) if np.isfinite(difference) else np.inf


def _text(value: Any) -> str:
    return f"{value:.9g}" if np.ndim(value) == 0 else f"{np.size(value)} numbers"
