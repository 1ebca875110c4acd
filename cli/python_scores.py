"""The verbs on the scores of runs as Python functions, which `import athanor` offers."""

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import reports
from cli.python import load_run
from cli.runs import app_of
from evaluation.options import (
    CompareOptions,
    EvaluateOptions,
    LearningCurveOptions,
    ReplayOptions,
)

if TYPE_CHECKING:
    from evaluation.notebook import Report, Run, Scores, Table
    from evaluation.replay import Replay


def evaluate(run: "Run | Path | str", **options: Any) -> "Scores":
    """Score a run on its test examples again; draw figures and write a report into its directory.

    Args:
        run: the run, or its directory.
        **options: `data_dir`, `trust`, and `sensitive`: columns of groups of people, with commas
            between, whose treatment is compared.

    Raises:
        RunError: the directory holds no finished run, or its data have changed.
        ProvenanceError: another user made the run; `trust=True` loads it anyway.

    Example:
        scores = athanor.evaluate(run)
        scores["test"]["rmse"], scores["intervals"]["rmse"]

    """
    loaded = load_run(run, EvaluateOptions(**options))
    from evaluation import report
    from evaluation.notebook import Scores

    return Scores(report.evaluate(loaded, options.get("sensitive", "")), loaded.path)


def report(run: "Run | Path | str", **options: Any) -> "Report":
    """Write the report of a run, by which people decide; evaluate the run before if needed.

    The directory may also be that of the runs of several seeds.

    Args:
        run: the run, or its directory.
        **options: `data_dir`, `trust`, and `sensitive`: columns of groups of people, with commas
            between, whose treatment is compared.

    Returns:
        The paths of the files that were written, `verdict` and `findings`.

    Raises:
        RunError: the directory holds no finished run.
        ProvenanceError: another user made the run; `trust=True` loads it anyway.

    Example:
        athanor.report(run)["verdict"]["text"]

    """
    from evaluation.notebook import Report

    path = Path(run) if isinstance(run, str | Path) else run.path
    with contextlib.redirect_stdout(io.StringIO()):
        return Report(reports.report(app_of(path), path, EvaluateOptions(**options)))


def learning_curve(
    run: "Run | Path | str",
    options: LearningCurveOptions | None = None,
    *,
    verbose: int = 2,
    **changes: Any,
) -> dict[str, Any]:
    """Train on parts of a run's training examples, and say what twice as many would bring.

    Args:
        run: the run, or its directory.
        options: number of fits.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        **changes: fields of `options`, such as `fits=3`.

    Returns:
        `points`, the measured scores; `doubled`, the forecast; `text`, the answer in words.

    Example:
        athanor.learning_curve(run)["text"]

    """
    options = dataclasses.replace(options or LearningCurveOptions(), **changes)
    path = Path(run) if isinstance(run, str | Path) else run.path
    with contextlib.ExitStack() as stack:
        if not verbose:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        return reports.learning_curve(app_of(path), path, options, verbose=verbose)


def replay(
    run: "Run | Path | str", options: ReplayOptions | None = None, **changes: Any
) -> "Replay":
    """Train a run again from its run.json, and compare the numbers of both runs.

    Args:
        run: the run, or its directory.
        options: where to keep the second run; by default it is removed.
        **changes: fields of `options`, such as `run_dir="runs/again"`.

    Returns:
        `verdict` ("bit-equal", "within tolerance" or "different") and the first difference.

    Example:
        athanor.replay(run).verdict

    """
    options = dataclasses.replace(options or ReplayOptions(), **changes)
    loaded = load_run(run, options)
    from evaluation.replay import replay as train_again

    return train_again(loaded, options.run_dir)


def compare(
    *runs: "Run | Path | str", options: CompareOptions | None = None, **changes: Any
) -> "Table":
    """Show runs side by side: the fields that differ, and the test scores.

    Raises NotComparableError, with `strict=True`, if their data, splits or folds differ.
    """
    options = dataclasses.replace(options or CompareOptions(), **changes)
    loaded = [load_run(run, options) for run in runs]
    from evaluation import compare as comparison
    from evaluation.notebook import Table

    compared = comparison.compare(loaded)
    if options.strict:
        comparison.require_comparable(compared)
    rows = ({name: row[name] for name in compared.columns} for row in compared.rows)
    return Table(rows, notes=compared.warnings)
