"""Gradients of embeddings: a row that is looked up several times has one gradient, the sum."""

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


def ended(optimizer, gradient):
    """The table and all that the optimizer keeps, after three steps."""
    table = keras.Variable(START, name="embeddings")
    for scale in (1.0, -0.5, 2.0):
        optimizer.apply([ops.multiply(gradient, scale)], [table])
    return [table.numpy(), *(one.numpy() for one in optimizer.variables)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(name, given, marks=pytest.mark.thorough if given and name != "adam" else [])
        for name in sorted(optimizers.names())
        for given in ({}, {"clipnorm": 0.1}, {"clipvalue": 0.5})
    ],
    ids=str,
)
def test_parts_of_a_row_count_as_their_sum(name, arguments):
    made = optimizers.get(name, 0.1)
    cls = type(made)
    if cls in optimizers.WRAPPERS:
        pair = [cls(keras.optimizers.Adam(0.1, **arguments)) for _ in range(2)]
    else:
        pair = [cls(0.1, **arguments) for _ in range(2)]
    found, expected = ended(pair[0], PARTS), ended(pair[1], tf.convert_to_tensor(PARTS))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.thorough
def test_the_kit_fails_an_optimizer_that_squares_the_parts():
    with pytest.raises(AssertionError, match="the sum of the parts of repeated rows"):
        training_checks.accepts_sparse_gradients(find_subject("keras.optimizers:RMSprop"))
    training_checks.accepts_sparse_gradients(find_subject("rmsprop"))


@pytest.mark.parametrize("name", ["adam", "adamw", "lion"])
def test_it_is_otherwise_the_optimizer_of_keras(name):
    made = optimizers.get(name, 0.1)
    theirs = keras.optimizers.get(name)
    assert isinstance(made, type(theirs))
    assert made.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")
    again = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()


def test_text_learns_with_the_square_of_the_sum():
    """The second moment of every word, after one step, beside the gradient of a dense table."""
    app = apps.Text(width=8, vocabulary=200, grams=0, dropout=0.0, word_dropout=0.0)
    splits = app.load_splits()
    parts = build_compiled(app, splits, "float32")
    network = parts.network
    features, target = next(iter(make_fit_data(app, splits, parts).train))
    (table,) = (one for one in network.trainable_variables if "embeddings" in one.path)
    with tf.GradientTape() as tape:
        loss = app.make_loss(splits)(target, network(features, training=True))
    gradients = tape.gradient(loss, [one.value for one in network.trainable_variables])
    place = next(n for n, one in enumerate(network.trainable_variables) if one is table)
    assert isinstance(gradients[place], tf.IndexedSlices)
    assert len(np.unique(gradients[place].indices)) < len(gradients[place].indices)
    dense = tf.convert_to_tensor(gradients[place]).numpy()
    adam = network.optimizer
    adam.apply(gradients, network.trainable_variables)
    velocity = adam._velocities[place].numpy()
    np.testing.assert_allclose(velocity, 0.001 * dense**2, rtol=1e-4, atol=1e-12)
