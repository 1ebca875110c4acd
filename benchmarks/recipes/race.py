"""Count the steps of an optimizer to a validation loss, after tuning its learning rate.

    python benchmarks/recipes/race.py steps text adamw
    python benchmarks/recipes/race.py steps text adan --target 0.51
    python benchmarks/recipes/race.py score text prodigy
    python benchmarks/recipes/race.py pace text

Takes minutes. `steps`: five constant learning rates are tried once each; the one that reaches the
target in the fewest steps, or comes nearest to it, runs again with five other seeds. Without
--target, the target is the lowest final loss of the five. `score`: the rate whose cosine schedule
ends at the lowest validation loss runs again with five seeds, each evaluated once on the test
examples. `pace`: seconds a step of every optimizer, in turn. Prints a JSON line.
"""

import argparse
import dataclasses
import json
import math
import operator
import os
import statistics
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import optimizers
from apps.app import App
from apps.finetune.app import Finetune
from apps.fit_data import FitData
from apps.mnist.app import Mnist
from apps.recommender.app import Recommender
from apps.regression.app import Regression
from apps.text.app import Text
from pipelines.batches import ordered_batches, shuffled_batches
from pipelines.splits import Splits
from training.build import FiniteLoss, build

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
RATE_FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0)  # of an optimizer's default learning rate
NAMES = ["adamw", *(cls.__name__.lower() for cls in (*optimizers.ALL, *optimizers.WRAPPERS))]
SEEDS, TUNING_SEED = range(5), 100
MAX_VALIDATION_EXAMPLES = 1000
VALIDATION_BATCH_SIZE = 500


class Task(NamedTuple):
    """An app, the steps between two validations (0: an epoch), and the number of validations."""

    app: App
    every: int
    looks: int
    traced_once: bool = True  # whether all runs can share a graph


TASKS = {
    "regression": Task(
        Regression(
            data=f"csv:{SHARED / 'california_housing' / 'housing.csv'}",
            target="median_house_value",
        ),
        every=20,
        looks=14,
    ),
    "mnist": Task(Mnist(data="tfds:mnist"), every=16, looks=12),
    # Validates after its own epochs, the first two of which train the head.
    "finetune": Task(Finetune(head_epochs=2), every=0, looks=10, traced_once=False),
    "text": Task(Text(data="tfds:trec", model="rnn"), every=20, looks=12),
    "recommender": Task(
        Recommender(data="tfds:movielens/100k-ratings", split="random", model="svdpp"),
        every=16,
        looks=15,
        traced_once=False,
    ),
}


class RunOverError(Exception):
    """Ends a run that need not continue."""


class ValidationCurve(keras.callbacks.Callback):
    """Records the validation loss by steps, and the seconds of a step before each validation.

    Ends the run at the target, after the last validation, and if a loss is not finite.
    """

    def __init__(self, target: float, steps: int) -> None:
        super().__init__()
        self.target, self.steps = target, steps
        self.losses: list[tuple[int, float]] = []
        self.step_seconds: list[float] = []
        self.done = self.before = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Continue the count of steps in another stage."""
        self.before = self.done

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Start the clock."""
        self.start, self.stop = time.perf_counter(), math.nan

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Stop the clock. The recommender does not call this; its time includes validation."""
        self.stop = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Record the loss and the time."""
        stop = time.perf_counter() if math.isnan(self.stop) else self.stop
        done = self.before + int(self.model.optimizer.iterations)
        self.step_seconds.append((stop - self.start) / max(1, done - self.done))
        self.done = done
        loss = float((logs or {})["val_loss"])
        self.losses.append((done, loss))
        if not math.isfinite(loss) or loss <= self.target or done >= self.steps:
            raise RunOverError

    @property
    def reached(self) -> float:
        """Steps to the target, interpolated linearly; inf if it was not reached."""
        before = (0, math.inf)
        for done, loss in self.losses:
            if loss <= self.target:
                share = (before[1] - self.target) / (before[1] - loss) if before[0] else 1.0
                return before[0] + share * (done - before[0])
            before = (done, loss)
        return math.inf

    @property
    def end(self) -> float:
        """The mean of the last three losses; inf if one is not finite."""
        last = statistics.mean(loss for _, loss in self.losses[-3:])
        return last if math.isfinite(last) else math.inf


def main() -> None:
    """Measure one app and one optimizer; `pace` measures all optimizers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("steps", "score", "pace"))
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("optimizer", nargs="?", default="adamw")
    parser.add_argument("--target", type=float)
    parser.add_argument(
        "--core", type=int, help="Core to run on, if other processes run at the same time."
    )
    parser.add_argument("--seed", type=int, default=0, help="Seed of the first run.")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    task = TASKS[options.task]
    splits = with_fewer_validation_examples(task.app.load_splits())
    if options.what == "steps":
        answer = Race(task, splits, options.optimizer).steps(options.target, options.seed)
    elif options.what == "score":
        answer = Race(task, splits, options.optimizer, "cosine").scores(options.seed)
    else:
        answer = step_seconds(task, splits, options.seed)
    print(json.dumps(answer))


def step_seconds(task: Task, splits: Splits, seed: int) -> dict[str, float]:
    """Return the seconds a step of each optimizer: the median of a short run's last epochs."""
    seconds = {}
    for name in NAMES:
        race = Race(task, splits, name)
        curve, _ = race.run(race.rates[0], seed, budgets=0.5)
        seconds[name] = statistics.median(curve.step_seconds[-3:])
    return seconds


def with_fewer_validation_examples(splits: Splits) -> Splits:
    """Keep few validation examples, so that validation costs little."""
    valid = splits.valid.select(np.arange(min(MAX_VALIDATION_EXAMPLES, len(splits.valid))))
    return dataclasses.replace(splits, valid=valid)


@dataclasses.dataclass(frozen=True)
class Race:
    """Runs of one optimizer on one task."""

    task: Task
    splits: Splits
    optimizer: str
    schedule: Literal["constant", "cosine"] = "constant"
    traced: list[Any] = dataclasses.field(default_factory=list)

    def steps(self, target: float | None, seed: int) -> dict[str, Any]:
        """Return the steps to the target for each seed; inf if twice the budget is too short."""
        tried = {rate: self.run(rate, TUNING_SEED, target)[0] for rate in self.rates}
        if target is None:
            target = min(curve.end for curve in tried.values())
            for curve in tried.values():
                curve.target = target
        best = min(tried, key=lambda rate: (tried[rate].reached, tried[rate].end))
        curves = [self.run(best, seed + k, target, budgets=2)[0] for k in SEEDS]
        return {
            "target": target,
            "tried": {
                rate: finite_or_none(curve.reached, curve.end) for rate, curve in tried.items()
            },
            "rate": best,
            "steps": finite_or_none(*(curve.reached for curve in curves)),
        }

    def scores(self, seed: int) -> dict[str, Any]:
        """Return the test score of each seed at the rate that leaves the lowest validation loss."""
        tried = {rate: self.run(rate, TUNING_SEED)[0].end for rate in self.rates}
        best = min(tried, key=lambda rate: tried[rate])
        scores = [test_score(self.run(best, seed + k)[1], self.splits) for k in SEEDS]
        ends = {rate: finite_or_none(end)[0] for rate, end in tried.items()}
        return {"tried": ends, "rate": best, "scores": scores}

    @property
    def rates(self) -> list[float]:
        """The learning rates to try."""
        default = optimizers.default_learning_rate(self.optimizer)
        return [
            default * f
            for f in ((1.0,) if optimizers.is_learning_rate_free(self.optimizer) else RATE_FACTORS)
        ]

    def run(
        self, rate: float, seed: int, target: float | None = None, budgets: float = 1
    ) -> tuple[ValidationCurve, Any]:
        """Train once; return the validation curve, and the models at the end."""
        task, splits = self.task, self.splits
        looks = round(budgets * task.looks)
        app = dataclasses.replace(
            task.app,
            optimizer=self.optimizer,
            schedule=self.schedule,
            learning_rate=rate,
            # Epochs that an app adds in an earlier stage count too.
            epochs=looks - (task.app.total_epochs - task.app.epochs),
            seed=seed,
        )
        count = len(splits.train)
        size = app.effective_batch_size(count)
        per_epoch = count // size
        every = task.every or per_epoch
        parts = self.parts(app, looks * every)
        batches = shuffled_batches(
            splits.train,
            batch_size=size,
            steps_per_epoch=per_epoch,
            seed=seed,
            prepare=parts.preprocessing,
            augment=app.make_augmentation(),
            lengths=app.sequence_lengths(splits),
        )
        valid = ordered_batches(
            splits.valid, batch_size=VALIDATION_BATCH_SIZE, prepare=parts.preprocessing
        )
        curve = ValidationCurve(-math.inf if target is None else target, looks * every)
        try:
            app.fit(
                parts.network,
                FitData(batches, valid, every, splits, parts.preprocessing, size, every),
                callbacks=[optimizers.AveragedWeights(), curve],
                verbose=0,
            )
        except RunOverError:
            pass
        except tf.errors.InvalidArgumentError as error:
            if "not finite" not in str(error):
                raise
            curve.losses.append((curve.done, math.nan))
        return curve, parts

    def parts(self, app: App, steps: int) -> Any:
        """Return the models of a run, at their start."""
        keras.utils.set_random_seed(app.seed)
        fresh = build(app, self.splits, "float32")
        fresh.network.compile(
            app.make_optimizer(steps),
            loss=FiniteLoss(app.make_loss(self.splits)),
            metrics=list(app.metrics),
            steps_per_execution=math.gcd(self.task.every or 1, 20),
        )
        if not (self.task.traced_once and self.schedule == "constant"):
            return fresh
        if not self.traced:
            self.traced.append(fresh)
        traced = self.traced[0]
        for model in (fresh.network, traced.network):
            model.optimizer.build(model.trainable_variables)
        for kind in ("variables", "optimizer.variables"):
            pair = (operator.attrgetter(kind)(parts.network) for parts in (traced, fresh))
            for variable, start in zip(*pair, strict=True):
                variable.assign(start)
        return traced


def finite_or_none(*numbers: float) -> list[float | None]:
    """Replace infinite numbers by None, for JSON."""
    return [number if math.isfinite(number) else None for number in numbers]


def test_score(parts: Any, splits: Splits) -> float:
    """Return the test accuracy, or the root mean squared error on the test examples."""
    test = ordered_batches(
        splits.test, batch_size=VALIDATION_BATCH_SIZE, prepare=parts.preprocessing
    )
    if splits.labels:
        outputs = parts.network.predict(test, verbose=0)
        return float(np.mean(outputs.argmax(-1) == splits.test.targets))
    return math.sqrt(parts.network.evaluate(test, verbose=0))


if __name__ == "__main__":
    main()
