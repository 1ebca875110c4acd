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
ours = pytest.mark.parametrize("cls", optimizers.ALL, ids=lambda cls: cls.__name__)


@pytest.mark.parametrize("name", sorted(optimizers.names()))
def test_every_name_is_found(name):
    optimizer = optimizers.get(name, 0.25)
    assert isinstance(optimizer, optimizers.names()[name])
    assert float(optimizer.learning_rate) == pytest.approx(0.25)


def test_default_learning_rates_are_read_without_making_variables():
    """Workers wait for each other at every variable, and only the chief prints learning rates."""

    def refuse(*_, **__):
        raise AssertionError("made a variable")

    with tf.variable_creator_scope(refuse):
        rates = {name: optimizers.default_learning_rate(name) for name in optimizers.names()}
    assert (rates["adam"], rates["schedulefree"]) == (0.001, 0.001)


@pytest.mark.parametrize("name", ["lamb", "adam", "sgd", "nesterov", "adamw", "muon"])
def test_names_include_these_optimizers(name):
    assert name in optimizers.names()


@pytest.mark.parametrize("name", ["Nesterov", "NESTEROV", "nes_terov", "nes-terov"])
def test_names_ignore_case_and_separators(name):
    assert type(optimizers.get(name, 0.1)) is Nesterov


@pytest.mark.parametrize(("name", "near"), [("adm", "adam"), ("nesterof", "nesterov")])
def test_the_message_for_an_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(UnknownOptimizerError, match=f"{name!r}.*Did you mean {near!r}"):
        optimizers.get(name, 0.1)


@pytest.mark.parametrize("name", ["sam", "ASAM", "layerwise_learning_rate"])
def test_names_that_need_own_code_have_a_hint(name):
    with pytest.raises(
        UnknownOptimizerError, match=f"Received the optimizer {name!r}, which .*own"
    ):
        optimizers.get(name, 0.1)


def test_the_message_for_an_unknown_name_lists_all_names():
    with pytest.raises(UnknownOptimizerError) as raised:
        optimizers.get("zzz", 0.1)
    assert all(name in str(raised.value) for name in optimizers.names())


@pytest.mark.parametrize("name", ["optimizer", "lossscaleoptimizer", ""])
def test_base_classes_and_containers_are_no_names(name):
    with pytest.raises(UnknownOptimizerError):
        optimizers.get(name, 0.1)


@ours
def test_ours_are_optimizers_of_keras(cls):
    assert issubclass(cls, keras.optimizers.Optimizer)
    assert optimizers.names()[cls.__name__.lower()] is cls


def test_the_public_names_are_sorted_and_exist():
    assert optimizers.__all__ == sorted(optimizers.__all__, key=_capitals_first)
    assert all(hasattr(optimizers, name) for name in optimizers.__all__)
    assert {cls.__name__ for cls in optimizers.ALL} <= set(optimizers.__all__)


def _capitals_first(name):
    """Sort as isort does: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_nesterov_keeps_its_momentum_in_json():
    restored = keras.optimizers.deserialize(
        keras.optimizers.serialize(Nesterov(0.1, momentum=0.75))
    )
    assert restored.get_config()["momentum"] == 0.75


@ours
def test_a_sparse_gradient_has_the_effect_of_the_dense_one(cls):
    rows, values = [3, 1, 3], np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    sparse = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([5, 4]))
    final_weights = []
    for gradient in (sparse, tf.convert_to_tensor(sparse)):
        variable = keras.Variable(np.ones((5, 4), "float32"))
        optimizer = cls(0.05)
        for _ in range(5):
            optimizer.apply([gradient], [variable])
        final_weights.append(np.asarray(variable.value))
    np.testing.assert_allclose(*final_weights, rtol=1e-6)
    assert (final_weights[0][[1, 3]] != 1).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.875])
def test_nesterov_equals_the_paper(momentum):
    rate = 2.0**-6  # exact in float32
    by_hand = references.nesterov(START, gradient_sequence(), 200, rate, momentum)
    for one, other in zip(weights_after(Nesterov(rate, momentum), 200), by_hand, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_nesterov_is_the_rule_of_keras_with_momentum():
    expected = keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)
    for one, other in zip(
        weights_after(Nesterov(0.05), 50), weights_after(expected, 50), strict=True
    ):
        np.testing.assert_array_equal(one, other)
