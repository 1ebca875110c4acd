"""Every optimizer is found by name and does what its paper says."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import twins

import optimizers
from optimizers import Nesterov, UnknownOptimizerError

RATES = {"Adan": 0.1, "NovoGrad": 0.05, "RAdam": 0.3, "Yogi": 0.3}
ours = pytest.mark.parametrize("optimizer", optimizers.ALL, ids=lambda cls: cls.__name__)


def minimised(optimizer, start, gradient, steps=200, dtype="float32"):
    """The value after so many steps, as an array."""
    variable = keras.Variable(np.asarray(start), dtype=dtype)
    optimizer.build([variable])

    @tf.function(autograph=False)
    def step():
        optimizer.apply([tf.cast(gradient(variable.value), variable.dtype)], [variable])

    for _ in range(steps):
        step()
    return np.asarray(variable.value)


def rate_of(optimizer):
    return RATES.get(optimizer.__name__, 0.05)


def bowl(weights):
    """Gradient of (w0^2 + 10 w1^2) / 2 about (1, -2)."""
    return (weights - [1.0, -2.0]) * [1.0, 10.0]


@pytest.mark.parametrize("name", sorted(optimizers.names()))
def test_every_name_is_found(name):
    found = optimizers.get(name, 0.25)
    assert isinstance(found, optimizers.names()[name])
    assert float(found.learning_rate) == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["lamb", "adam", "sgd", "nesterov", "adamw", "muon"])
def test_these_are_among_the_names(name):
    assert name in optimizers.names()


@pytest.mark.parametrize("name", ["Nesterov", "NESTEROV", "nes_terov", "nes-terov"])
def test_case_and_underscores_do_not_count(name):
    assert type(optimizers.get(name, 0.1)) is Nesterov


@pytest.mark.parametrize(("name", "near"), [("adm", "adam"), ("nesterof", "nesterov")])
def test_an_unknown_name_is_answered_with_the_nearest(name, near):
    with pytest.raises(UnknownOptimizerError, match=f"{name!r}.*Did you mean {near!r}"):
        optimizers.get(name, 0.1)


def test_an_unknown_name_is_answered_with_all():
    with pytest.raises(UnknownOptimizerError) as raised:
        optimizers.get("zzz", 0.1)
    assert all(name in str(raised.value) for name in optimizers.names())


@pytest.mark.parametrize("name", ["optimizer", "lossscaleoptimizer", ""])
def test_what_is_no_optimizer_by_itself_is_no_name(name):
    with pytest.raises(UnknownOptimizerError):
        optimizers.get(name, 0.1)


@ours
def test_ours_are_optimizers_of_keras(optimizer):
    assert issubclass(optimizer, keras.optimizers.Optimizer)
    assert optimizers.names()[optimizer.__name__.lower()] is optimizer


def test_the_public_names_are_sorted_and_exist():
    assert optimizers.__all__ == sorted(optimizers.__all__, key=_capitals_first)
    assert all(hasattr(optimizers, name) for name in optimizers.__all__)
    assert {cls.__name__ for cls in optimizers.ALL} <= set(optimizers.__all__)


def _capitals_first(name):
    """The order of isort: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@ours
def test_json_round_trip(optimizer):
    before = optimizer(learning_rate=0.125)
    text = json.dumps(keras.optimizers.serialize(before))
    after = keras.optimizers.deserialize(json.loads(text))
    assert type(after) is optimizer
    assert after.get_config() == before.get_config()


def test_nesterov_keeps_its_momentum_in_json():
    again = keras.optimizers.deserialize(keras.optimizers.serialize(Nesterov(0.1, momentum=0.75)))
    assert again.get_config()["momentum"] == 0.75


@ours
def test_minimises_a_bowl(optimizer):
    schedule = keras.optimizers.schedules.CosineDecay(rate_of(optimizer), 2000)
    end = minimised(optimizer(schedule), [4.0, 3.0], bowl, 2000)
    np.testing.assert_allclose(end, [1, -2], atol=1e-3)


@ours
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_keeps_the_dtype(optimizer, dtype):
    made = optimizer(keras.optimizers.schedules.CosineDecay(rate_of(optimizer), 1000))
    end = minimised(made, [4.0, 3.0], lambda w: bowl(tf.cast(w, tf.float32)), 1000, dtype)
    slots = [slot for slot in made.variables if slot.shape == (2,)]
    assert end.dtype == dtype
    assert slots
    assert {slot.dtype for slot in slots} == {dtype}
    np.testing.assert_allclose(end.astype(float), [1, -2], atol=0.1)


@ours
def test_takes_a_schedule(optimizer):
    """With a rate that falls to zero after three steps, the gradient moves nothing any more."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.05, 0.0])
    still = {"momentum": 0.0} if hasattr(optimizer(0.05), "momentum") else {}
    early, late = (minimised(optimizer(schedule, **still), [4.0, 3.0], bowl, n) for n in (3, 9))
    assert (early != [4.0, 3.0]).all()
    np.testing.assert_array_equal(early, late)


@ours
def test_a_sparse_gradient_equals_the_dense_one(optimizer):
    rows, values = [3, 1, 3], np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    sparse = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([5, 4]))
    ends = []
    for gradient in (sparse, tf.convert_to_tensor(sparse)):
        variable = keras.Variable(np.ones((5, 4), "float32"))
        made = optimizer(0.05)
        for _ in range(5):
            made.apply([gradient], [variable])
        ends.append(np.asarray(variable.value))
    np.testing.assert_allclose(*ends, rtol=1e-6)
    assert (ends[0][[1, 3]] != 1).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.875])
def test_nesterov_equals_the_paper(momentum):
    matrix = np.random.default_rng(0).normal(size=(6, 6))
    curvature, start = matrix @ matrix.T / 6, np.arange(1.0, 7.0)
    rate = 2.0**-6  # exact in float32, in which Keras keeps it
    (by_hand,) = twins.nesterov([start], lambda w: [curvature @ w[0]], 200, rate, momentum)
    end = minimised(
        Nesterov(rate, momentum=momentum),
        start,
        lambda w: tf.linalg.matvec(curvature, w),
        dtype="float64",
    )
    np.testing.assert_allclose(end, by_hand, rtol=1e-6)


def test_nesterov_is_the_rule_of_keras_with_momentum():
    theirs = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    ends = [minimised(one, [4.0, 3.0], bowl, 50) for one in (Nesterov(0.05), theirs)]
    np.testing.assert_array_equal(*ends)
