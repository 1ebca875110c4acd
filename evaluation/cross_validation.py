"""Cross-validation: every example is a test example once; of data with times each fold is newer."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from apps.app import App, FieldError
from evaluation import report
from pipelines.quarantine import training_splits
from pipelines.splits import Fold
from training import provenance
from training.directory import create_group_directory
from training.distributed import strategy as distribution
from training.options import TrainOptions
from training.resume import find_finished_run
from training.run import Run, write_json
from training.train import train

MAX_FOLDS = 100
SUMMARY_FILE = "folds.json"
DEFAULT_OPTIONS = TrainOptions()


def cross_validate(
    app: App, num_folds: int, options: TrainOptions = DEFAULT_OPTIONS, *, verbose: int = 2
) -> dict[str, Any]:
    """Train and evaluate an app once for each fold, in run directories fold-1, fold-2, ...

    After an interruption it resumes: trained folds stay as they are. The returned summary, also in
    folds.json, holds for each metric the mean over the folds (`test`), the standard deviation
    (`spread`) and the mean of every baseline. `test_set` is that of the fold on which most other
    runs were evaluated.

    Args:
        app: the app to train.
        num_folds: number of folds.
        options: of `train`; `run_dir` is the directory of all folds.
        verbose: 0 prints nothing, 1 a progress bar, 2 a line for each epoch.

    Raises:
        FieldError: for fewer than 2 folds.
        DataError: if a fold is empty; nothing is written.
        RunError: if the directory holds other files.

    """
    if not 2 <= num_folds <= MAX_FOLDS:
        raise FieldError(f"Received --folds {num_folds}; expected 2 to {MAX_FOLDS}.")
    folds = {f"fold-{number}": Fold(number, num_folds) for number in range(1, num_folds + 1)}
    require_trainable(app, folds.values(), options)
    directory = create_group_directory(app, options.run_dir, [SUMMARY_FILE, *folds])
    if options.minutes:
        options = dataclasses.replace(options, minutes=options.minutes / num_folds)
    scores_of_folds = []
    for name, fold in folds.items():
        print(f"fold {fold.number} of {num_folds}", flush=True)
        fold_options = dataclasses.replace(options, run_dir=directory / name)
        run = _finished_run(app, fold, fold_options)
        run = run or train(app, fold_options, fold=fold, verbose=verbose)
        scores_of_folds.append(report.score(run))
    tests = [scores["test"] for scores in scores_of_folds]
    most_used = max(scores_of_folds, key=_other_runs)
    summary = {
        "run": str(directory),
        "folds": num_folds,
        "test": _mean(tests),
        "spread": {name: float(np.std([row[name] for row in tests], ddof=1)) for name in tests[0]},
        "baselines": {
            name: _mean([scores["baselines"][name] for scores in scores_of_folds])
            for name in scores_of_folds[0]["baselines"]
        },
        "examples": sum(scores["examples"] for scores in scores_of_folds),
        "units": scores_of_folds[0]["units"],
        "test_set": most_used["test_set"],
        "note": most_used["note"],
    }
    write_json(directory / SUMMARY_FILE, summary)
    return summary


def _other_runs(scores: dict[str, Any]) -> int:
    return scores["test_set"]["other_runs"] if scores["test_set"] else 0


def _finished_run(app: App, fold: Fold, options: TrainOptions) -> Run | None:
    """Return the run of a fold that is trained, else None."""
    run = find_finished_run(app, options, fold=fold)
    if run:
        provenance.require_signature(run.path, provenance.RUN_FILES, trust=options.trust)
    return run


def require_trainable(app: App, folds: Iterable[Fold | None], options: TrainOptions) -> None:
    """Raise what training a fold would raise, before anything is written; None is no fold."""
    strategy = distribution.make_strategy(options.strategy, options.devices)
    splits = app.load_splits(options.data_dir)
    app.make_optimizer(1)
    for fold in folds:
        count = len(training_splits(splits, fold, options.quarantine).train)
        distribution.batch_size(app, count, strategy.num_replicas_in_sync)


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
