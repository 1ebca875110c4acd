"""Every optimizer is found by name and does what its paper says."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from conformance import references
from conformance.subject import START, gradient_sequence, weights_after
from optimizers import Nesterov, UnknownOptimizerError

RATES = {"Adan": 0.1, "NovoGrad": 0.05, "RAdam": 0.3, "Yogi": 0.3}
ours = pytest.mark.parametrize("optimizer", optimizers.ALL, ids=lambda cls: cls.__name__)


@pytest.mark.parametrize("name", sorted(optimizers.names()))
def test_every_name_is_found(name):
    found = optimizers.get(name, 0.25)
    assert isinstance(found, optimizers.names()[name])
    assert float(found.learning_rate) == pytest.approx(0.25)


def test_default_rates_are_read_without_making_variables():
    """Workers wait for each other at every variable: the chief, which prints rates, made more."""

    def refused(*_, **__):
        raise AssertionError("made a variable")

    with tf.variable_creator_scope(refused):
        rates = {name: optimizers.default_learning_rate(name) for name in optimizers.names()}
    assert (rates["adam"], rates["schedulefree"]) == (0.001, 0.001)


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


@pytest.mark.parametrize("name", ["sam", "ASAM", "layerwise_learning_rate"])
def test_what_goes_otherwise_is_said(name):
    with pytest.raises(
        UnknownOptimizerError, match=f"Received the optimizer {name!r}, which .*own"
    ):
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


def test_nesterov_keeps_its_momentum_in_json():
    again = keras.optimizers.deserialize(keras.optimizers.serialize(Nesterov(0.1, momentum=0.75)))
    assert again.get_config()["momentum"] == 0.75


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
    rate = 2.0**-6  # exact in float32
    by_hand = references.nesterov(START, gradient_sequence(), 200, rate, momentum)
    for one, other in zip(weights_after(Nesterov(rate, momentum), 200), by_hand, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_nesterov_is_the_rule_of_keras_with_momentum():
    theirs = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    for one, other in zip(
        weights_after(Nesterov(0.05), 50), weights_after(theirs, 50), strict=True
    ):
        np.testing.assert_array_equal(one, other)
