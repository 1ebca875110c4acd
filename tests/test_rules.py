"""Properties of each update rule and schedule; test_conformance.py checks all rules."""

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

import optimizers
from conformance import references
from conformance.subject import (
    START,
    apply_steps,
    from_class,
    gradient_sequence,
    make_variables,
    weights_after,
)
from optimizers import LARS, SOAP, Adan, NovoGrad, OneCycle, Prodigy, RAdam, WarmupStableDecay, Yogi
from optimizers.rule import Rule

RATE = float(np.float32(0.01))  # as Keras stores it
STEPS = 200
DECAYING = (Adan, NovoGrad, LARS, Prodigy)
rules = pytest.mark.parametrize(
    "rule", [cls for cls in optimizers.ALL if issubclass(cls, Rule)], ids=lambda cls: cls.__name__
)


def assert_close(ours, theirs, tolerance=1e-6):
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


@pytest.mark.slow
@pytest.mark.parametrize("rule", DECAYING, ids=lambda cls: cls.__name__)
def test_equals_its_reference_with_weight_decay(rule):
    subject = from_class(rule)
    by_hand = subject.reference(
        START,
        gradient_sequence(),
        STEPS,
        float(np.float32(subject.learning_rate)),
        weight_decay=0.125,
    )
    assert_close(weights_after(subject.new(weight_decay=0.125), STEPS), by_hand)
    plain = subject.reference(START, gradient_sequence(), STEPS, subject.learning_rate)
    assert np.abs(by_hand[0] - plain[0]).max() > 1e-3


@rules
def test_keeps_arguments_that_are_not_the_defaults(rule):
    # RAdam's threshold has to be at least 4, so it is doubled.
    arguments = {
        n: value / 2 if value < 4 else value * 2 for n, value in rule()._hyperparameters.items()
    }
    before = rule(0.25, **arguments)
    after = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(before))))
    assert arguments.items() <= after.get_config().items()


@rules
def test_wrong_arguments_are_refused(rule):
    for name in rule()._hyperparameters:
        for value in (-0.5, math.nan, *([1.0] if name.startswith(("beta", "momentum")) else [])):
            with pytest.raises(ValueError, match=f"Received {name}=.*; expected"):
                rule(**{name: value})


@rules
def test_a_negative_weight_decay_is_refused(rule):
    with pytest.raises(ValueError, match=r"Received weight_decay=-0.5; expected"):
        rule(weight_decay=-0.5)


@pytest.mark.parametrize("beta_2", [0.0, 0.5, 0.6])
def test_radam_with_a_small_beta_2_is_sgd_with_momentum(beta_2):
    plain, adaptive = weights_after(RAdam(RATE, beta_2=beta_2), 20), weights_after(RAdam(RATE), 20)
    slow = references.radam(START, gradient_sequence(), 20, RATE, beta_2=0.5)
    assert_close(plain, slow)
    assert np.abs(plain[0] - adaptive[0]).max() > 1e-3


@rules
def test_an_integer_is_a_learning_rate(rule):
    assert float(rule(1).learning_rate) == 1.0


def test_the_first_steps_of_radam_are_sgd_with_momentum():
    """Below the threshold a step is linear in the gradient."""
    final_weights = []
    for scale in (1.0, 3.0):
        variable = keras.Variable(np.zeros(2, "float32"))
        optimizer = RAdam(1.0)
        for _ in range(5):
            optimizer.apply([ops.convert_to_tensor([scale, -scale])], [variable])
        final_weights.append(ops.convert_to_numpy(variable))
    np.testing.assert_allclose(final_weights[1], 3 * final_weights[0], rtol=1e-6)


def test_the_second_moment_of_yogi_falls_slowly():
    """After a huge gradient it falls by (1 - beta_2) g^2 a step, not by a fraction of itself."""
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = Yogi(0.0)
    optimizer.apply([ops.convert_to_tensor([100.0])], [variable])
    (_, velocity) = optimizer.state(variable)
    before = float(velocity[0])
    optimizer.apply([ops.convert_to_tensor([1.0])], [variable])
    assert before - float(velocity[0]) == pytest.approx(0.001, rel=1e-2)


def test_one_cycle_rises_to_its_peak_and_falls():
    schedule = OneCycle(0.5, 100)
    rates = np.array([float(schedule(step)) for step in range(121)])
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates.argmax() == 30
    assert rates[30] == pytest.approx(0.5)
    assert rates[15] == pytest.approx((0.5 + 0.02) / 2)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:101]) < 0).all()
    np.testing.assert_allclose(rates[100:], 0.02 / 1e4, atol=1e-8)


def test_warmup_stable_decay_has_three_phases():
    schedule = WarmupStableDecay(0.5, 100, warmup_steps=10, decay_steps=20)
    rates = np.array([float(schedule(step)) for step in range(121)])
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11), rtol=1e-6)
    np.testing.assert_allclose(rates[10:81], 0.5)
    np.testing.assert_allclose(rates[85], 0.5 * (1 - 0.5))
    np.testing.assert_allclose(rates[100:], 0)


@pytest.mark.parametrize("schedule", [OneCycle(0.5, 100), WarmupStableDecay(0.5, 100, 10, 20)])
def test_schedules_survive_a_round_trip_through_json(schedule):
    text = json.dumps(keras.optimizers.schedules.serialize(schedule))
    restored = keras.optimizers.schedules.deserialize(json.loads(text))
    assert type(restored) is type(schedule)
    assert restored.get_config() == schedule.get_config()
    optimizer = Adan(schedule)
    weights_after(optimizer, 2)
    assert float(optimizer.learning_rate) == pytest.approx(float(schedule(2)))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: OneCycle(-1.0, 10),
        lambda: OneCycle(1.0, 0),
        lambda: OneCycle(1.0, 10, warmup_fraction=2.0),
        lambda: OneCycle(1.0, 10, initial_divisor=0.5),
        lambda: WarmupStableDecay(math.nan, 10, 1, 1),
        lambda: WarmupStableDecay(1.0, 10, 6, 6),
        lambda: WarmupStableDecay(1.0, 10, -1, 6),
    ],
)
def test_wrong_schedules_are_refused(wrong):
    with pytest.raises(ValueError, match=r"Received .*; expected"):
        wrong()


@pytest.mark.parametrize("d0", [1e-6, 1e-3])
def test_the_estimate_of_prodigy_grows_from_a_small_start(d0):
    optimizer = Prodigy(d0=d0)
    weights_after(optimizer, 100)
    assert 0.01 < float(optimizer.distance) < 1


def test_the_estimate_of_prodigy_grows_in_bfloat16():
    """Its first steps are too small to change weights in bfloat16, but the estimate has to grow."""
    optimizer = Prodigy()
    apply_steps(optimizer, make_variables(dtype="bfloat16"), 100)
    assert float(optimizer.distance) > 0.01


def test_soap_leaves_out_preconditioners_that_are_too_large():
    variable = keras.Variable(np.ones((2, 3, 4), "float32"))
    optimizer = SOAP(RATE, max_preconditioner_size=5)
    optimizer.build([variable])
    ((rows, columns),) = optimizer._preconditioners
    assert rows is None
    assert columns.basis.shape == (4, 4)
    for number in range(3):
        optimizer.apply([keras.random.normal((2, 3, 4), seed=number)], [variable])
    assert np.isfinite(ops.convert_to_numpy(variable)).all()
    assert (ops.convert_to_numpy(variable) != 1).all()


@pytest.mark.parametrize("frequency", [0, -1, 1.5])
def test_soap_refuses_a_wrong_frequency(frequency):
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        SOAP(precondition_frequency=frequency)
