"""--minutes: training ends in time, and its learning-rate schedule with it."""

import json

import keras
import numpy as np
import pytest

from apps import FieldError, Recommender, Regression
from apps.fit_data import START, FitData
from apps.solving import solve
from evaluation import cross_validation
from evaluation.replay import replay
from training import resume
from training.callbacks import History
from training.options import TrainOptions
from training.pacing import Pace, PacedSchedule
from training.time_limit import TimeLimit
from training.train import train

PEAK = 0.1


class Clock(keras.callbacks.Callback):
    """A clock that training moves: seconds for a step, a validation, and the tracing before."""

    def __init__(self, step=1.0, validation=3.0, tracing=4.0, later_step=None, change_at=1e9):
        super().__init__()
        self.now, self.steps = 0.0, 0
        self.step, self.validation, self.tracing = step, validation, tracing
        self.later_step, self.change_at = later_step, change_at

    def __call__(self):
        return self.now

    def on_train_batch_end(self, *_, **__):
        steps = int(self.model.optimizer.iterations) - self.steps
        self.now += steps * (self.later_step if self.now > self.change_at else self.step)
        self.now += 0 if self.steps else self.tracing
        self.steps += steps

    def on_test_end(self, *_, **__):
        self.now += self.validation


class Rates(keras.callbacks.Callback):
    """The learning rate after each call."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_end(self, *_, **__):
        self.rates.append(float(self.model.optimizer.learning_rate))


def fitted(callbacks, *, epochs=50, steps=20, call=4, schedule="cosine"):
    """Fit a small model by `epochs` epochs at most; return it and the rates of its calls."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.normal(size=(2 * steps, 3)).astype("float32")
    y = x.sum(1, keepdims=True)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.CosineDecay(PEAK, epochs * steps)
    optimizer = keras.optimizers.SGD(rate if schedule == "cosine" else PEAK)
    model.compile(optimizer, "mse", steps_per_execution=call)
    history, rates = History(None), Rates()
    model.fit(
        x,
        y,
        batch_size=2,
        epochs=epochs,
        verbose=0,
        shuffle=False,
        validation_data=(x, y),
        callbacks=[history, *callbacks, rates],
    )
    return model, rates.rates, history.rows


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param(Clock(), id="steady"),
        pytest.param(Clock(validation=30.0), id="long validation"),
        pytest.param(Clock(tracing=60.0), id="slow start", marks=pytest.mark.thorough),
        pytest.param(Clock(later_step=3.0, change_at=100), id="slower", marks=pytest.mark.thorough),
        pytest.param(Clock(later_step=0.3, change_at=100), id="faster", marks=pytest.mark.thorough),
    ],
)
def test_the_schedule_ends_with_the_time(clock):
    limit = TimeLimit(300.0 / 60, clock, validation_share=1.0)
    _, rates, rows = fitted([clock, limit])
    assert 270 < clock.now < 306
    assert max(rates) > 0.5 * PEAK
    assert rates[-1] < 0.01 * PEAK
    assert rows[-1]["epoch"] == limit.endings[-1].epoch < 50
    assert limit.step == clock.steps == limit.endings[-1].step
    assert len(limit.paces) < 50


def test_a_part_of_one_epoch_is_validated():
    clock = Clock()
    limit = TimeLimit(200.0 / 60, clock, validation_share=0.005)
    _, rates, rows = fitted([clock, limit], epochs=2, steps=2000)
    assert [row["epoch"] for row in rows] == [1]
    assert "val_loss" in rows[0]
    assert 50 < clock.steps < 200
    assert rates[-1] < 0.01 * PEAK


def test_enough_time_changes_nothing():
    clock = Clock(validation=0.5)
    limit = TimeLimit(320.0 / 60, clock, validation_share=1.0)
    limited, rates, rows = fitted([clock, limit], epochs=8)
    free, free_rates, free_rows = fitted([], epochs=8)
    assert (limit.step, limit.paces, limit.endings) == (160, [], [])
    assert limit.note() == ""
    assert rates == free_rates
    assert len(rows) == len(free_rows) == 8
    for one, other in zip(limited.get_weights(), free.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_little_time_is_one_call_and_one_validation():
    clock = Clock()
    limit = TimeLimit(0.5 / 60, clock)
    _, _, rows = fitted([clock, limit])
    assert clock.steps == 4
    assert len(rows) == 1
    assert limit.note() == (
        "time  --minutes ended training in epoch 1 after 4 steps, 10 seconds late: a step with its "
        "validation is the least"
    )


def test_a_constant_learning_rate_ends_in_time_too():
    clock = Clock()
    limit = TimeLimit(100.0 / 60, clock, validation_share=1.0)
    _, rates, _ = fitted([clock, limit], schedule="constant")
    assert 90 < clock.now < 106
    assert rates == pytest.approx([PEAK] * len(rates))


def test_a_training_is_repeated_without_a_clock():
    clock = Clock(later_step=2.0, change_at=100)
    limit = TimeLimit(300.0 / 60, clock, validation_share=1.0)
    first, rates, _ = fitted([clock, limit])
    record = json.loads(json.dumps(limit.describe()))
    assert len(record["paces"]) > 2
    again = TimeLimit(300.0 / 60, lambda: 0.0, record=record)
    second, repeated_rates, _ = fitted([again])
    assert repeated_rates == rates
    assert json.loads(json.dumps(again.describe())) == record
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_restores_the_speed():
    schedule = PacedSchedule(lambda step: step)
    schedule.set_paces([Pace(1, 10, 10.0, 2.0), Pace(1, 20, 30.0, 0.5)])
    assert [float(schedule(step)) for step in (0, 9, 10, 15, 20, 30)] == [0, 9, 10, 20, 30, 35]


@pytest.mark.parametrize(("seconds", "epochs"), [(1, 1), (50, 5), (95, 9), (2000, 20)])
def test_a_solver_ends_between_two_iterations(seconds, epochs):
    now = [0.0]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def iterate():
        while True:
            now[0] += 10.0
            yield {"loss": 1.0, "val_loss": 1.0}

    data = FitData(None, None, 1, None, None, 1, 1, START)
    limit = TimeLimit(seconds / 60, lambda: now[0])
    done = solve(model, data, iterate(), epochs=range(20), callbacks=[limit])
    assert done == epochs
    assert bool(limit.endings) == (epochs < 20)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_minutes_that_are_no_time_are_refused(wrong):
    with pytest.raises(FieldError, match="--minutes"):
        TrainOptions(minutes=wrong)


def test_minutes_and_halving_are_refused():
    with pytest.raises(FieldError, match="--minutes with --on-nan halve"):
        TrainOptions(minutes=1, on_nan="halve")


@pytest.mark.parametrize(
    "app",
    [
        Regression(model="boosted"),
        Regression(model="linear"),
        Regression(model="linear", optimizer="lbfgs"),
        Recommender(model="retrieval"),
    ],
    ids=lambda app: f"{app.name()} {app.model} {app.optimizer}",
)
def test_a_model_that_is_fitted_at_once_is_refused(app, tmp_path):
    with pytest.raises(FieldError, match="for a model that is fitted at once"):
        train(app, run_dir=tmp_path / "run", minutes=1, verbose=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_a_limited_run_is_replayed_and_its_time_is_known(tmp_path, capsys):
    app = Regression(model="mlp", width=8, epochs=2000, patience=0)
    run = train(app, run_dir=tmp_path / "run", minutes=0.05, verbose=2)
    assert "time  --minutes ended training in epoch" in capsys.readouterr().out
    limit = run.manifest["time_limit"]
    assert limit["minutes"] == 0.05
    assert limit["endings"][0][1] == run.manifest["epochs"] < 2000
    assert replay(run, verbose=0).verdict == "bit-equal"
    assert resume.find_finished_run(app, TrainOptions(run_dir=run.path, minutes=0.05))
    assert not resume.find_finished_run(app, TrainOptions(run_dir=run.path))
    assert resume.load_identity(run.path, Regression).about["minutes"] == 0.05


def test_folds_share_the_time(tmp_path, monkeypatch):
    minutes = []

    def stop(_, options, **__):
        minutes.append(options.minutes)
        raise InterruptedError

    monkeypatch.setattr(cross_validation, "train", stop)
    options = TrainOptions(run_dir=tmp_path / "folds", minutes=6)
    with pytest.raises(InterruptedError):
        cross_validation.cross_validate(Regression.tiny(), 3, options)
    assert minutes == [2.0]
