"""How many steps an optimizer takes an app to a validation loss, its learning rate tuned first.

    python benchmarks/recipes/race.py steps text adamw
    python benchmarks/recipes/race.py steps text adan --target 0.51
    python benchmarks/recipes/race.py score text prodigy
    python benchmarks/recipes/race.py pace text

Minutes. `steps`: five learning rates are tried once each, constant; the one that comes to the
target in the fewest steps, or nearest to it, runs again from five other seeds. Without a
target it is the lowest loss that any of the five leaves at the end. `score`: the rate whose
cosine leaves the lowest validation loss runs again from five seeds, each judged once on the
test examples. `pace`: seconds a step of every optimizer, in turn. Prints a JSON line.
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
from typing import Any, NamedTuple

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
from training.build import build, with_finite_check

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0)  # of an optimizer's default learning rate
NAMES = ["adamw", *(cls.__name__.lower() for cls in (*optimizers.ALL, *optimizers.WRAPPERS))]
SEEDS, TUNING_SEED = range(5), 100
JUDGED = 1000  # validation examples
VALID_BATCH = 500


class Task(NamedTuple):
    """An app, the steps between two looks at the validation loss, and how many looks."""

    app: App
    every: int
    looks: int
    traced_once: bool = True  # its graph serves all runs


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
    # By its own epochs, the first two of them the head's: real handwriting, a small network.
    "finetune": Task(Finetune(head_epochs=2), every=0, looks=10, traced_once=False),
    "text": Task(Text(data="tfds:trec", grams=0), every=20, looks=12),
    "recommender": Task(
        Recommender(data="tfds:movielens/100k-ratings", split="random", model="svdpp"),
        every=16,
        looks=15,
        traced_once=False,
    ),
}


class Over(Exception):  # noqa: N818
    """A run that need not go on."""


class Course(keras.callbacks.Callback):
    """The validation loss after so many steps, and seconds of training a step before each look.

    Ends the run at the target, after the last look, and where a loss is not finite.
    """

    def __init__(self, target: float, steps: int) -> None:
        super().__init__()
        self.target, self.steps = target, steps
        self.losses: list[tuple[int, float]] = []
        self.paces: list[float] = []
        self.done = self.before = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Another stage counts on."""
        self.before = self.done

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Start the clock."""
        self.start, self.stop = time.perf_counter(), math.nan

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Stop it; the recommender, which does not tell, has its validation in."""
        self.stop = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """A look."""
        stop = time.perf_counter() if math.isnan(self.stop) else self.stop
        done = self.before + int(self.model.optimizer.iterations)
        self.paces.append((stop - self.start) / max(1, done - self.done))
        self.done = done
        loss = float((logs or {})["val_loss"])
        self.losses.append((done, loss))
        if not math.isfinite(loss) or loss <= self.target or done >= self.steps:
            raise Over

    @property
    def reached(self) -> float:
        """Steps to the target, between two looks by a straight line; inf where it was not."""
        before = (0, math.inf)
        for done, loss in self.losses:
            if loss <= self.target:
                share = (before[1] - self.target) / (before[1] - loss) if before[0] else 1.0
                return before[0] + share * (done - before[0])
            before = (done, loss)
        return math.inf

    @property
    def end(self) -> float:
        """The mean of the last three losses; inf where one is no number."""
        last = statistics.mean(loss for _, loss in self.losses[-3:])
        return last if math.isfinite(last) else math.inf


def main() -> None:
    """One app, one optimizer; of the pace all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("steps", "score", "pace"))
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("optimizer", nargs="?", default="adamw")
    parser.add_argument("--target", type=float)
    parser.add_argument("--core", type=int, help="The one to stay on, where others run beside.")
    parser.add_argument("--seed", type=int, default=0, help="Of the first run.")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    task = TASKS[given.task]
    splits = judged_on_some(task.app.load_splits())
    if given.what == "steps":
        answer = Race(task, splits, given.optimizer).steps(given.target, given.seed)
    elif given.what == "score":
        answer = Race(task, splits, given.optimizer, "cosine").scores(given.seed)
    else:
        answer = paces(task, splits, given.seed)
    print(json.dumps(answer))


def paces(task: Task, splits: Splits, seed: int) -> dict[str, float]:
    """Seconds a step of each optimizer: the median of a short run's last looks."""
    found = {}
    for name in NAMES:
        race = Race(task, splits, name)
        course, _ = race.run(race.rates[0], seed, budgets=0.5)
        found[name] = statistics.median(course.paces[-3:])
    return found


def judged_on_some(splits: Splits) -> Splits:
    """With so few validation examples that a look costs little."""
    some = splits.valid.select(np.arange(min(JUDGED, len(splits.valid))))
    return dataclasses.replace(splits, valid=some)


@dataclasses.dataclass(frozen=True)
class Race:
    """Runs of one optimizer on one task."""

    task: Task
    splits: Splits
    optimizer: str
    schedule: str = "constant"
    traced: list[Any] = dataclasses.field(default_factory=list)

    def steps(self, target: float | None, seed: int) -> dict[str, Any]:
        """Steps to the target from each seed, inf where it is not reached in twice the looks."""
        tried = {rate: self.run(rate, TUNING_SEED, target)[0] for rate in self.rates}
        if target is None:
            target = min(course.end for course in tried.values())
            for course in tried.values():
                course.target = target
        best = min(tried, key=lambda rate: (tried[rate].reached, tried[rate].end))
        courses = [self.run(best, seed + k, target, budgets=2)[0] for k in SEEDS]
        return {
            "target": target,
            "tried": {rate: told(course.reached, course.end) for rate, course in tried.items()},
            "rate": best,
            "steps": told(*(course.reached for course in courses)),
        }

    def scores(self, seed: int) -> dict[str, Any]:
        """The test score of each seed at the rate that leaves the lowest validation loss."""
        tried = {rate: self.run(rate, TUNING_SEED)[0].end for rate in self.rates}
        best = min(tried, key=lambda rate: tried[rate])
        found = [score(self.run(best, seed + k)[1], self.splits) for k in SEEDS]
        ends = {rate: told(end)[0] for rate, end in tried.items()}
        return {"tried": ends, "rate": best, "scores": found}

    @property
    def rates(self) -> list[float]:
        """To try."""
        usual = optimizers.default_learning_rate(self.optimizer)
        return [
            usual * f
            for f in ((1.0,) if optimizers.is_learning_rate_free(self.optimizer) else FACTORS)
        ]

    def run(
        self, rate: float, seed: int, target: float | None = None, budgets: float = 1
    ) -> tuple[Course, Any]:
        """One training: its course, and the models at its end."""
        task, splits = self.task, self.splits
        looks = round(budgets * task.looks)
        app = dataclasses.replace(
            task.app,
            optimizer=self.optimizer,
            schedule=self.schedule,
            learning_rate=rate,
            epochs=looks if task.every else looks - task.app.head_epochs,
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
        valid = ordered_batches(splits.valid, batch_size=VALID_BATCH, prepare=parts.preprocessing)
        course = Course(-math.inf if target is None else target, looks * every)
        try:
            app.fit(
                parts.network,
                FitData(batches, valid, every, splits, parts.preprocessing, size, every),
                callbacks=[optimizers.AveragedWeights(), course],
                verbose=0,
            )
        except Over:
            pass
        except tf.errors.InvalidArgumentError as error:
            if "not finite" not in str(error):
                raise
            course.losses.append((course.done, math.nan))
        return course, parts

    def parts(self, app: App, steps: int) -> Any:
        """The models of a run, at their start."""
        keras.utils.set_random_seed(app.seed)
        new = build(app, self.splits, "float32")
        new.network.compile(
            app.make_optimizer(steps),
            loss=with_finite_check(app.make_loss(self.splits)),
            metrics=list(app.metrics),
            steps_per_execution=math.gcd(self.task.every or 1, 20),
        )
        if not (self.task.traced_once and self.schedule == "constant"):
            return new
        if not self.traced:
            self.traced.append(new)
        old = self.traced[0]
        for model in (new.network, old.network):
            model.optimizer.build(model.trainable_variables)
        for kind in ("variables", "optimizer.variables"):
            pair = (operator.attrgetter(kind)(parts.network) for parts in (old, new))
            for variable, start in zip(*pair, strict=True):
                variable.assign(start)
        return old


def told(*numbers: float) -> list[float | None]:
    """JSON knows no inf."""
    return [number if math.isfinite(number) else None for number in numbers]


def score(parts: Any, splits: Splits) -> float:
    """Of the test examples: the share of right answers, or the root of the mean squared error."""
    test = ordered_batches(splits.test, batch_size=VALID_BATCH, prepare=parts.preprocessing)
    if splits.labels:
        given = parts.network.predict(test, verbose=0)
        return float(np.mean(given.argmax(-1) == splits.test.targets))
    return math.sqrt(parts.network.evaluate(test, verbose=0))


if __name__ == "__main__":
    main()
