"""Gradients of embeddings: a row that is looked up several times gets the sum of its gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import apps
import optimizers
from conformance import training_checks
from conformance.subject import find_subject
from training.fitting import build_compiled, make_fit_data

PARTS = tf.IndexedSlices(
    tf.constant([[1.0, -2.0], [3.0, 0.5], [1.0, 4.0], [0.25, 0.0]]),
    tf.constant([2, 0, 2, 2]),
    tf.constant([4, 2]),
)
START = np.linspace(-1, 1, 8, dtype="float32").reshape(4, 2)


def final_state(optimizer, gradient):
    """Return the table and the variables of the optimizer after three steps."""
    table = keras.Variable(START, name="embeddings")
    for scale in (1.0, -0.5, 2.0):
        optimizer.apply([ops.multiply(gradient, scale)], [table])
    return [table.numpy(), *(one.numpy() for one in optimizer.variables)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(
            name, options, marks=pytest.mark.thorough if options and name != "adam" else []
        )
        for name in sorted(optimizers.names())
        for options in ({}, {"clipnorm": 0.1}, {"clipvalue": 0.5})
    ],
    ids=str,
)
def test_repeated_rows_of_a_gradient_count_as_their_sum(name, arguments):
    optimizer = optimizers.get(name, 0.1)
    cls = type(optimizer)
    if cls in optimizers.WRAPPERS:
        pair = [cls(keras.optimizers.Adam(0.1, **arguments)) for _ in range(2)]
    else:
        pair = [cls(0.1, **arguments) for _ in range(2)]
    actual, expected = (
        final_state(pair[0], PARTS),
        final_state(pair[1], tf.convert_to_tensor(PARTS)),
    )
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.thorough
def test_the_checks_fail_an_optimizer_that_squares_each_part():
    with pytest.raises(AssertionError, match="the sum of the parts of repeated rows"):
        training_checks.accepts_sparse_gradients(find_subject("keras.optimizers:RMSprop"))
    training_checks.accepts_sparse_gradients(find_subject("rmsprop"))


@pytest.mark.parametrize("name", ["adam", "adamw", "lion"])
def test_other_behaviour_is_that_of_the_keras_optimizer(name):
    optimizer = optimizers.get(name, 0.1)
    expected = keras.optimizers.get(name)
    assert isinstance(optimizer, type(expected))
    assert optimizer.name.rstrip("_0123456789") == expected.name.rstrip("_0123456789")
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(restored) is type(optimizer)
    assert restored.get_config() == optimizer.get_config()


def test_second_moments_of_embeddings_are_squares_of_sums():
    """Compares the second moments after one step with the squared gradient of a dense table."""
    app = apps.Text(width=8, vocabulary=200, model="rnn", dropout=0.0, word_dropout=0.0)
    splits = app.load_splits()
    parts = build_compiled(app, splits, "float32")
    network = parts.network
    features, target = next(iter(make_fit_data(app, splits, parts).train))
    (table,) = (one for one in network.trainable_variables if "embeddings" in one.path)
    with tf.GradientTape() as tape:
        loss = app.make_loss(splits)(target, network(features, training=True))
    gradients = tape.gradient(loss, [one.value for one in network.trainable_variables])
    index = next(n for n, one in enumerate(network.trainable_variables) if one is table)
    assert isinstance(gradients[index], tf.IndexedSlices)
    assert len(np.unique(gradients[index].indices)) < len(gradients[index].indices)
    dense = tf.convert_to_tensor(gradients[index]).numpy()
    adam = network.optimizer
    adam.apply(gradients, network.trainable_variables)
    velocity = adam._velocities[index].numpy()
    np.testing.assert_allclose(velocity, 0.001 * dense**2, rtol=1e-4, atol=1e-12)
