"""Every rule of ours equals its slow twin, written from the paper, and refuses what is wrong."""

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import twins

import optimizers
from optimizers import LARS, SOAP, Adan, NovoGrad, OneCycle, Prodigy, RAdam, WarmupStableDecay, Yogi
from optimizers.rule import Rule

RATE = float(np.float32(0.01))  # as Keras keeps it
RATES = {LARS: 1.0, Prodigy: 1.0}  # a smaller one would drown in the rounding of float32
STEPS = 200
DECAYING = (Adan, NovoGrad, LARS, Prodigy)
rules = pytest.mark.parametrize(
    "rule", [cls for cls in optimizers.ALL if issubclass(cls, Rule)], ids=lambda cls: cls.__name__
)
RNG = np.random.default_rng(0)
INPUTS, TARGETS = RNG.normal(size=(5, 8, 3)), RNG.normal(size=(5, 8, 3))  # five batches
START = [RNG.uniform(-1, 1, shape).astype("float32") for shape in ((3, 3), 3)]


def slopes(weights, step):
    """Gradients of the mean squared error of a linear model, a matrix and a vector, on a batch."""
    inputs, targets = INPUTS[step % 5], TARGETS[step % 5]
    error = inputs @ weights[0] + weights[1] - targets
    return [inputs.T @ error / len(inputs), error.mean(0)]


def walk():
    """As `slopes`, of the next batch each time."""
    steps = itertools.count()
    return lambda weights: slopes(weights, next(steps))


def followed(optimizer, steps=STEPS, dtype="float32", start=START):
    """The weights after so many steps."""
    variables = [keras.Variable(np.asarray(one), dtype=dtype) for one in start]
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(inputs, targets):
        matrix, vector = (tf.cast(one.value, "float64") for one in variables)
        error = tf.matmul(inputs, matrix) + vector - targets
        slope = tf.matmul(inputs, error, transpose_a=True) / len(INPUTS[0])
        gradients = (slope, tf.reduce_mean(error, 0))
        optimizer.apply([tf.cast(one, dtype) for one in gradients], variables)

    for number in range(steps):
        step(tf.constant(INPUTS[number % 5]), tf.constant(TARGETS[number % 5]))
    return [np.asarray(one.value) for one in variables]


def assert_close(ours, theirs, tolerance=1e-6):
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


@rules
def test_equals_its_twin(rule):
    twin, rate = getattr(twins, rule.__name__.lower()), RATES.get(rule, RATE)
    assert_close(followed(rule(rate)), twin(START, walk(), STEPS, rate))


@pytest.mark.parametrize("rule", DECAYING, ids=lambda cls: cls.__name__)
def test_equals_its_twin_with_weight_decay(rule):
    twin, rate = getattr(twins, rule.__name__.lower()), RATES.get(rule, RATE)
    by_hand = twin(START, walk(), STEPS, rate, weight_decay=0.125)
    assert_close(followed(rule(rate, weight_decay=0.125)), by_hand)
    assert np.abs(by_hand[0] - twin(START, walk(), STEPS, rate)[0]).max() > 1e-3


@pytest.mark.parametrize("rule", DECAYING, ids=lambda cls: cls.__name__)
def test_what_is_excluded_does_not_decay(rule):
    ends = []
    for decay in (0.0, 0.5):
        made = rule(RATE, weight_decay=decay)
        variables = [keras.Variable(one) for one in START]
        made.exclude_from_weight_decay(var_list=variables)
        for _ in range(3):
            made.apply([tf.ones(one.shape) for one in variables], variables)
        ends.append([np.asarray(one.value) for one in variables])
    np.testing.assert_array_equal(ends[0][0], ends[1][0])


@rules
def test_compiled_equals_eager(rule):
    variables = [keras.Variable(one) for one in START]
    again = [keras.Variable(one) for one in START]
    made, eager = rule(RATE), rule(RATE)
    made.build(variables)
    steps = [tf.function(lambda g: made.apply(g, variables), jit_compile=jit) for jit in (0, 1)]
    for number in range(10):
        gradients = [tf.cast(one, "float32") for one in slopes(START, number)]
        steps[number // 5](gradients)
        eager.apply(gradients, again)
    assert_close([one.numpy() for one in variables], [one.numpy() for one in again])


@rules
def test_continues_bit_for_bit(rule, tmp_path):
    data = [some.reshape(40, 3).astype("float32") for some in (INPUTS, TARGETS)]

    def made():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        model.compile(rule(RATE), loss="mse")
        return model

    def fit(model, epochs):
        model.fit(*data, epochs=epochs, batch_size=8, shuffle=False, verbose=0)

    whole, first = made(), made()
    fit(whole, 4)
    fit(first, 2)
    first.save(tmp_path / "half.keras")
    second = keras.saving.load_model(tmp_path / "half.keras")
    assert type(second.optimizer) is rule
    fit(second, 2)
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@rules
def test_keeps_its_arguments_in_json(rule):
    # Halves, but for RAdam's threshold, which is 4 at least.
    own = {n: value / 2 if value < 4 else value * 2 for n, value in rule()._own.items()}
    before = rule(0.25, **own, weight_decay=0.5, clipnorm=1.0)
    after = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(before))))
    assert type(after) is rule
    assert after.get_config() == before.get_config()
    assert own.items() <= after.get_config().items()


@rules
@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_a_wrong_rate_is_refused(rule, rate):
    with pytest.raises(ValueError, match=r"Received learning_rate=.*; expected a finite number"):
        rule(rate)


@rules
def test_wrong_arguments_are_refused(rule):
    for name in rule()._own:
        for value in (-0.5, math.nan, *([1.0] if name.startswith(("beta", "momentum")) else [])):
            with pytest.raises(ValueError, match=f"Received {name}=.*; expected"):
                rule(**{name: value})


@rules
def test_a_negative_weight_decay_is_refused(rule):
    with pytest.raises(ValueError, match=r"Received weight_decay=-0.5; expected"):
        rule(weight_decay=-0.5)


@pytest.mark.parametrize("beta_2", [0.0, 0.5, 0.6])
def test_radam_with_a_short_memory_is_momentum(beta_2):
    plain, adaptive = followed(RAdam(RATE, beta_2=beta_2), 20), followed(RAdam(RATE), 20)
    slow = twins.radam(START, walk(), 20, RATE, beta_2=0.5)
    assert_close(plain, slow)
    assert np.abs(plain[0] - adaptive[0]).max() > 1e-3


@rules
def test_a_whole_number_is_a_rate(rule):
    assert float(rule(1).learning_rate) == 1.0


def test_two_replicas_equal_one():
    """In a process of its own: devices are divided before TensorFlow starts."""
    place = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, place / "replicas.py"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(place.parent)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [rule.__name__ for rule in optimizers.ALL]


def test_radam_begins_without_its_divisor():
    """Up to the threshold a step is that of SGD with momentum: linear in the gradient."""
    ends = []
    for scale in (1.0, 3.0):
        variable = keras.Variable(np.zeros(2, "float32"))
        made = RAdam(1.0)
        for _ in range(5):
            made.apply([tf.constant([scale, -scale])], [variable])
        ends.append(np.asarray(variable.value))
    np.testing.assert_allclose(ends[1], 3 * ends[0], rtol=1e-6)


def test_yogi_forgets_a_large_square_slowly():
    """After a huge gradient its divisor falls by (1 - beta_2) g^2 a step, not by a share."""
    variable = keras.Variable(np.zeros(1, "float32"))
    made = Yogi(0.0)
    made.apply([tf.constant([100.0])], [variable])
    (_, velocity) = made.state(variable)
    before = float(velocity[0])
    made.apply([tf.constant([1.0])], [variable])
    assert before - float(velocity[0]) == pytest.approx(0.001, rel=1e-2)


def test_one_cycle_rises_to_its_peak_and_falls():
    course = OneCycle(0.5, 100)
    rates = np.array([float(course(step)) for step in range(121)])
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates.argmax() == 30
    assert rates[30] == pytest.approx(0.5)
    assert rates[15] == pytest.approx((0.5 + 0.02) / 2)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:101]) < 0).all()
    np.testing.assert_allclose(rates[100:], 0.02 / 1e4, atol=1e-8)


def test_warmup_stable_decay_has_three_stretches():
    course = WarmupStableDecay(0.5, 100, warmup=10, decay=20)
    rates = np.array([float(course(step)) for step in range(121)])
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11), rtol=1e-6)
    np.testing.assert_allclose(rates[10:81], 0.5)
    np.testing.assert_allclose(rates[85], 0.5 * (1 - 0.5))
    np.testing.assert_allclose(rates[100:], 0)


@pytest.mark.parametrize("course", [OneCycle(0.5, 100), WarmupStableDecay(0.5, 100, 10, 20)])
def test_schedules_in_json(course):
    text = json.dumps(keras.optimizers.schedules.serialize(course))
    again = keras.optimizers.schedules.deserialize(json.loads(text))
    assert type(again) is type(course)
    assert again.get_config() == course.get_config()
    made = Adan(course)
    followed(made, 2)
    assert float(made.learning_rate) == pytest.approx(float(course(2)))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: OneCycle(-1.0, 10),
        lambda: OneCycle(1.0, 0),
        lambda: OneCycle(1.0, 10, rise=2.0),
        lambda: OneCycle(1.0, 10, start=0.5),
        lambda: WarmupStableDecay(math.nan, 10, 1, 1),
        lambda: WarmupStableDecay(1.0, 10, 6, 6),
        lambda: WarmupStableDecay(1.0, 10, -1, 6),
    ],
)
def test_wrong_schedules_are_refused(wrong):
    with pytest.raises(ValueError, match=r"Received .*; expected"):
        wrong()


@pytest.mark.parametrize("initial", [1e-6, 1e-3])
def test_prodigy_finds_its_rate_from_far_below(initial):
    made = Prodigy(initial=initial)
    followed(made, 100)
    assert 0.01 < float(made.distance) < 1


def test_prodigy_sees_steps_that_bfloat16_rounds_away():
    """Its first steps, of a millionth, change no weight; the estimate has to grow all the same."""
    made = Prodigy()
    followed(made, 100, "bfloat16")
    assert float(made.distance) > 0.01


def test_soap_turns_no_side_that_is_too_large():
    variable = keras.Variable(np.ones((2, 3, 4), "float32"))
    made = SOAP(RATE, largest=5)
    made.build([variable])
    ((rows, columns),) = made._sides
    assert rows is None
    assert columns.basis.shape == (4, 4)
    for number in range(3):
        made.apply([tf.random.stateless_normal((2, 3, 4), (0, number))], [variable])
    assert np.isfinite(np.asarray(variable.value)).all()
    assert (np.asarray(variable.value) != 1).all()


@pytest.mark.parametrize("frequency", [0, -1, 1.5])
def test_soap_refuses_a_wrong_frequency(frequency):
    with pytest.raises(ValueError, match="Received frequency=.*; expected a whole number from 1"):
        SOAP(frequency=frequency)
