"""Two hundred tiny trials in one process, by us or by KerasTuner alone; prints memory and seconds.

    python benchmarks/recipes/search_memory.py --by athanor --trials 200 --seed 0

Both search learning rate and dropout of the same small perceptron on the same digits,
an epoch a trial, at random. Ours reads the data, trains, keeps the best model and its
checkpoint, and writes a run directory in every trial; KerasTuner builds and fits.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from training import startup

SETTLED = 20  # trials before memory is first looked at


def memory() -> float:
    """Of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def athanor(trials: int, seed: int, directory: Path) -> list[float]:
    """Memory after each trial of ours."""
    import apps
    from tuning.options import TuneOptions
    from tuning.search import search

    seen: list[float] = []

    def watch(_: Any) -> Any:
        return lambda ended: seen.append(memory()) if ended else None

    space = directory / "space.yaml"
    space.write_text(
        "learning_rate: {low: 0.01, high: 0.5, log: true}\ndropout: {low: 0.0, high: 0.5}\n"
    )
    app = apps.Mnist(model="mlp", epochs=1, batch_norm=False, augment=0.0, seed=seed)
    options = TuneOptions(
        tuner="random",
        trials=trials,
        space=space,
        run_dir=directory / "search",
        precision="float32",
    )
    search(app, options, verbose=False, watch=watch)
    return seen


def kerastuner(trials: int, seed: int, directory: Path) -> list[float]:
    """Memory after each trial of a plain KerasTuner search."""
    import keras
    import keras_tuner

    import apps

    app = apps.Mnist()
    splits = app.load_splits()
    seen: list[float] = []

    def build(hp: Any) -> Any:
        layers = [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Flatten(),
            keras.layers.Dense(256, "relu"),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)),
            keras.layers.Dense(10),
        ]
        model = keras.Sequential(layers)
        rate = hp.Float("learning_rate", 0.01, 0.5, sampling="log")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, metrics=["accuracy"])
        return model

    class Watched(keras_tuner.RandomSearch):
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            seen.append(memory())

    options = {"max_trials": trials, "seed": seed + 1, "directory": str(directory)}
    tuner = Watched(build, objective="val_loss", **options)
    given = [part.numpy() for part in (splits.train, splits.valid)]
    (x, y), valid = given[0], tuple(given[1])
    tuner.search(x, y, validation_data=valid, epochs=1, batch_size=96, verbose=0)
    return seen


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--by", choices=["athanor", "kerastuner"], default="athanor")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    startup.start_tensorflow()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        by = athanor if given.by == "athanor" else kerastuner
        seen = by(given.trials, given.seed, Path(directory))
    growth = (seen[-1] - seen[SETTLED]) / (len(seen) - 1 - SETTLED)
    told = {"growth": growth, "first": seen[SETTLED], "last": seen[-1], "trials": len(seen)}
    print(json.dumps(told | {"each": (time.perf_counter() - began) / len(seen)}))


if __name__ == "__main__":
    main()
