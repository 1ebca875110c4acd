"""Cross-validation: every example is a test example once."""

from pathlib import Path
from typing import Any

import numpy as np

from apps.app import App, FieldError
from evaluation import report
from pipelines.quarantine import of_training
from pipelines.splits import Fold
from training import strategy as distribution
from training.directory import empty_directory
from training.run import write_json
from training.strategy import Strategy
from training.train import train

MOST = 100  # folds


def cross_validate(
    app: App, num_folds: int, run_dir: Path | None, **options: Any
) -> dict[str, Any]:
    """Train and judge an app once a fold, in run directories fold-1, fold-2, ...

    Returns, and writes to folds.json, for each metric the mean over the folds
    (`test`), the standard deviation (`spread`) and the same mean of every
    baseline; `options` are those of `train`. Raises FieldError for fewer than 2
    folds, and DataError where one would be empty: nothing was written.
    """
    if not 2 <= num_folds <= MOST:
        raise FieldError(f"Received --folds {num_folds}; expected 2 to {MOST}.")
    _require_trainable(app, num_folds, **options)
    directory = empty_directory(app, run_dir)
    scored = []
    for number in range(1, num_folds + 1):
        print(f"fold {number} of {num_folds}", flush=True)
        place = directory / f"fold-{number}"
        run = train(app, run_dir=place, which=Fold(number, num_folds), **options)
        scored.append(report.score(run))
    tests = [scores["test"] for scores in scored]
    summary = {
        "run": str(directory),
        "folds": num_folds,
        "test": _mean(tests),
        "spread": {name: float(np.std([row[name] for row in tests], ddof=1)) for name in tests[0]},
        "baselines": {
            name: _mean([scores["baselines"][name] for scores in scored])
            for name in scored[0]["baselines"]
        },
        "examples": sum(scores["examples"] for scores in scored),
    }
    write_json(directory / "folds.json", summary)
    return summary


def _require_trainable(
    app: App,
    num_folds: int,
    *,
    data_dir: Path | None = None,
    strategy: Strategy = "one",
    devices: int | None = None,
    quarantine: Path | None = None,
    **_: Any,
) -> None:
    """Raise what the trainings would, before anything is written."""
    spread = distribution.choose(strategy, devices)
    app = distribution.divided(app, splits := app.splits(data_dir), spread.num_replicas_in_sync)
    app.descent(1)
    for number in range(1, num_folds + 1):
        app.batch(len(of_training(splits, Fold(number, num_folds), quarantine).train))


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
