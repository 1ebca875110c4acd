"""Train two convolutions on MNIST by athanor's pipeline and compilation.

    python benchmarks/recipes/convnet_athanor.py --precision auto

Prints, as the last line, examples per second of the second epoch as JSON.
"""

import argparse
import json
import time
from typing import Any

from training import startup

startup.start_tensorflow()

import keras  # noqa: E402

from apps import Mnist  # noqa: E402
from pipelines import tfds  # noqa: E402
from pipelines.batches import shuffled_batches  # noqa: E402
from pipelines.images.preprocessing import Standardize  # noqa: E402
from training.build import FiniteLoss  # noqa: E402
from training.fitting import count_steps_for  # noqa: E402
from training.precision import choose_precision  # noqa: E402

BATCH_SIZE = 100


class Clock(keras.callbacks.Callback):
    """Records the time at which each epoch ended, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Record the time."""
        self.ends.append(time.perf_counter())


def network() -> keras.Model:
    """[batch, 28, 28, 1] -> logits [batch, 10]."""
    options = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, **options),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, **options),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )


def measure(precision: Any, seed: int) -> dict[str, Any]:
    """Train two epochs; the second counts, from end to end."""
    app = Mnist(data="tfds:mnist", batch_size=BATCH_SIZE, seed=seed)
    source = tfds.source("mnist", None, None)
    steps, steps_per_execution = count_steps_for(app, len(source.train), num_replicas=1)
    choice = choose_precision(precision, "image")
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(choice.policy)
    batches = shuffled_batches(
        source.train,
        batch_size=BATCH_SIZE,
        steps_per_epoch=steps,
        seed=seed,
        prepare=Standardize.adapted(source.train),
    )
    model, clock = network(), Clock()
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss=FiniteLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    fitted = model.fit(
        batches, steps_per_epoch=steps, epochs=2, shuffle=False, verbose=0, callbacks=[clock]
    )
    return {
        "examples_per_second": steps * BATCH_SIZE / (clock.ends[1] - clock.ends[0]),
        "loss": fitted.history["loss"][1],
        "accuracy": fitted.history["accuracy"][1],
        "parameters": model.count_params(),
        "precision": choice.policy,
    }


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(measure(options.precision, options.seed)))


if __name__ == "__main__":
    main()
