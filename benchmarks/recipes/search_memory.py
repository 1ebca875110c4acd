"""Run two hundred tiny trials in one process, by athanor or KerasTuner; print memory and seconds.

    python benchmarks/recipes/search_memory.py --by athanor --trials 200 --seed 0

Both search learning rate and dropout of the same small perceptron on the same digits, at random,
with one epoch a trial. In every trial athanor reads the data, trains, stores the best model and a
checkpoint, and writes a run directory; KerasTuner builds and fits.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from training import startup

NUM_WARMUP_TRIALS = 20  # before memory is first measured


def memory_megabytes() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def athanor(trials: int, seed: int, directory: Path) -> list[float]:
    """Return the memory after each trial of athanor's search."""
    import apps
    from tuning.options import TuneOptions
    from tuning.search import search

    megabytes: list[float] = []

    def watch(_: Any) -> Any:
        return lambda ended: megabytes.append(memory_megabytes()) if ended else None

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
    return megabytes


def kerastuner(trials: int, seed: int, directory: Path) -> list[float]:
    """Return the memory after each trial of a plain KerasTuner search."""
    import keras
    import keras_tuner

    import apps

    app = apps.Mnist()
    splits = app.load_splits()
    megabytes: list[float] = []

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
            megabytes.append(memory_megabytes())

    options = {"max_trials": trials, "seed": seed + 1, "directory": str(directory)}
    tuner = Watched(build, objective="val_loss", **options)
    arrays = [part.numpy() for part in (splits.train, splits.valid)]
    (x, y), valid = arrays[0], tuple(arrays[1])
    tuner.search(x, y, validation_data=valid, epochs=1, batch_size=96, verbose=0)
    return megabytes


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--by", choices=["athanor", "kerastuner"], default="athanor")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    startup.start_tensorflow()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        search = athanor if options.by == "athanor" else kerastuner
        megabytes = search(options.trials, options.seed, Path(directory))
    growth = (megabytes[-1] - megabytes[NUM_WARMUP_TRIALS]) / (
        len(megabytes) - 1 - NUM_WARMUP_TRIALS
    )
    answer = {
        "growth": growth,
        "first": megabytes[NUM_WARMUP_TRIALS],
        "last": megabytes[-1],
        "trials": len(megabytes),
    }
    print(json.dumps(answer | {"each": (time.perf_counter() - start) / len(megabytes)}))


if __name__ == "__main__":
    main()
