"""One training, the seconds that its checkpoints took, and those of going on from the last.

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
    """As a process that ends."""


class Stop(keras.callbacks.Callback):
    """Ends a training when its last epoch is about to end."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """End it."""
        if epoch + 1 == self.epochs:
            raise StoppedError


def timed(owner: Any, name: str, seconds: list[float]) -> None:
    """Let a function note what each of its calls takes."""
    usual: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(usual)
    def noting(*given: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return usual(*given, **named)
        finally:
            seconds.append(time.perf_counter() - begin)

    setattr(owner, name, noting)


def main() -> None:
    """Train to the end, train to the last epoch, go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", required=True)
    parser.add_argument("--data", default="embedded")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    app = apps.get(given.app)(data=given.data, seed=given.seed, patience=0)
    if given.epochs:
        app = dataclasses.replace(app, epochs=given.epochs)
    writes: list[float] = []
    fits: list[float] = []
    reads: list[float] = []
    restores: list[float] = []
    timed(checkpoint.Checkpoint, "_write", writes)
    timed(train, "fit", fits)
    timed(resume, "newest", reads)
    timed(checkpoint.Checkpoint, "on_train_begin", restores)
    options = {"precision": "float32", "verbose": 0}
    with tempfile.TemporaryDirectory() as place:
        train.train(app, run_dir=Path(place) / "whole", **options)
        cost, number, fit = sum(writes), len(writes), fits[0]
        stopped = Path(place) / "stopped"
        callbacks = [Stop(app.total_epochs)]
        with contextlib.suppress(StoppedError):
            train.train(app, run_dir=stopped, callbacks=callbacks, checkpoint_every=0, **options)
        size = max(one.stat().st_size for one in (stopped / "checkpoint").iterdir())
        reads.clear()
        restores.clear()
        train.train(app, run_dir=stopped, **options)
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
