"""What is special in each rule of ours; what holds for all is in test_conformance.py."""

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

RATE = float(np.float32(0.01))  # as Keras keeps it
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
def test_keeps_arguments_that_are_no_defaults(rule):
    # Halves, but for RAdam's threshold, which is 4 at least.
    own = {n: value / 2 if value < 4 else value * 2 for n, value in rule()._hyperparameters.items()}
    before = rule(0.25, **own)
    after = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(before))))
    assert own.items() <= after.get_config().items()


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
def test_radam_with_a_short_memory_is_momentum(beta_2):
    plain, adaptive = weights_after(RAdam(RATE, beta_2=beta_2), 20), weights_after(RAdam(RATE), 20)
    slow = references.radam(START, gradient_sequence(), 20, RATE, beta_2=0.5)
    assert_close(plain, slow)
    assert np.abs(plain[0] - adaptive[0]).max() > 1e-3


@rules
def test_a_whole_number_is_a_rate(rule):
    assert float(rule(1).learning_rate) == 1.0


def test_radam_begins_without_its_divisor():
    """Up to the threshold a step is that of SGD with momentum: linear in the gradient."""
    ends = []
    for scale in (1.0, 3.0):
        variable = keras.Variable(np.zeros(2, "float32"))
        made = RAdam(1.0)
        for _ in range(5):
            made.apply([ops.convert_to_tensor([scale, -scale])], [variable])
        ends.append(ops.convert_to_numpy(variable))
    np.testing.assert_allclose(ends[1], 3 * ends[0], rtol=1e-6)


def test_yogi_forgets_a_large_square_slowly():
    """After a huge gradient its divisor falls by (1 - beta_2) g^2 a step, not by a share."""
    variable = keras.Variable(np.zeros(1, "float32"))
    made = Yogi(0.0)
    made.apply([ops.convert_to_tensor([100.0])], [variable])
    (_, velocity) = made.state(variable)
    before = float(velocity[0])
    made.apply([ops.convert_to_tensor([1.0])], [variable])
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
    course = WarmupStableDecay(0.5, 100, warmup_steps=10, decay_steps=20)
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
    weights_after(made, 2)
    assert float(made.learning_rate) == pytest.approx(float(course(2)))


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
def test_prodigy_finds_its_rate_from_far_below(d0):
    made = Prodigy(d0=d0)
    weights_after(made, 100)
    assert 0.01 < float(made.distance) < 1


def test_prodigy_sees_steps_that_bfloat16_rounds_away():
    """Its first steps, of a millionth, change no weight; the estimate has to grow all the same."""
    made = Prodigy()
    apply_steps(made, make_variables(dtype="bfloat16"), 100)
    assert float(made.distance) > 0.01


def test_soap_turns_no_side_that_is_too_large():
    variable = keras.Variable(np.ones((2, 3, 4), "float32"))
    made = SOAP(RATE, max_preconditioner_size=5)
    made.build([variable])
    ((rows, columns),) = made._preconditioners
    assert rows is None
    assert columns.basis.shape == (4, 4)
    for number in range(3):
        made.apply([keras.random.normal((2, 3, 4), seed=number)], [variable])
    assert np.isfinite(ops.convert_to_numpy(variable)).all()
    assert (ops.convert_to_numpy(variable) != 1).all()


@pytest.mark.parametrize("frequency", [0, -1, 1.5])
def test_soap_refuses_a_wrong_frequency(frequency):
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        SOAP(precondition_frequency=frequency)
