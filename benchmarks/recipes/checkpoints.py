"""Train an app; print the seconds of its checkpoints, and of resuming from the last one.

python benchmarks/recipes/checkpoints.py --app mnist
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import apps  # noqa: E402
from training import startup  # noqa: E402

startup.start_tensorflow()

import keras  # noqa: E402

from training import checkpoint, fitting, resume, train  # noqa: E402


class StoppedError(BaseException):
    """Stops a training as if its process ended."""


class Stop(keras.callbacks.Callback):
    """Ends a training when its last epoch is about to end."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Stop in the last epoch."""
        if epoch + 1 == self.epochs:
            raise StoppedError


def record_seconds(owner: Any, name: str, seconds: list[float]) -> None:
    """Replace a function by one that records the seconds of each call."""
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - start)

    setattr(owner, name, timed)


def main() -> None:
    """Train to the end; train another run to the last epoch, and resume it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", required=True)
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    app = apps.get(options.app)(data=options.data, seed=options.seed, patience=0)
    if options.epochs:
        app = dataclasses.replace(app, epochs=options.epochs)
    writes: list[float] = []
    fits: list[float] = []
    reads: list[float] = []
    restores: list[float] = []
    record_seconds(checkpoint.Checkpoint, "_write", writes)
    record_seconds(train, "fit", fits)
    record_seconds(resume, "newest_checkpoint", reads)
    record_seconds(checkpoint.Checkpoint, "on_train_begin", restores)
    fixed: dict[str, Any] = {"precision": "float32", "verbose": 0}
    with tempfile.TemporaryDirectory() as root:
        train.train(app, run_dir=Path(root) / "whole", **fixed)
        cost, number, fit = sum(writes), len(writes), fits[0]
        stopped = Path(root) / "stopped"
        callbacks = [Stop(app.total_epochs)]
        with contextlib.suppress(StoppedError):
            train.train(app, run_dir=stopped, callbacks=callbacks, checkpoint_every=0, **fixed)
        size = max(file.stat().st_size for file in (stopped / "checkpoint").iterdir())
        reads.clear()
        restores.clear()
        train.train(app, run_dir=stopped, **fixed)
    answer = {
        "fit": round(fit, 2),
        "written": number,
        "percent": round(100 * cost / fit, 3),
        "megabytes": round(size / 1e6, 3),
        "restore": round(sum(reads) + restores[0], 3),
        "steps a call": fitting.MAX_STEPS_PER_EXECUTION,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
