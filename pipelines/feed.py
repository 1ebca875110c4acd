"""Splits become batches, in one place and in an order that is a pure function."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pipelines.examples import Batch, Examples

Augment = Callable[[Any, Any], Any]


def feed(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> tf.data.Dataset:
    """One pass over the examples in their order; the last batch may be smaller."""

    def batch(step: Any) -> Batch:
        start = step * batch_size
        return examples.take(tf.range(start, tf.minimum(start + batch_size, len(examples))))

    steps = -(-len(examples) // batch_size)
    return _flow(tf.data.Dataset.range(steps), batch, prepare)


def feed_shuffled(
    examples: Examples,
    *,
    batch_size: int,
    steps_per_epoch: int,
    seed: int,
    prepare: Callable[[Any], Any] | None = None,
    augment: Augment | None = None,
    start: int = 0,
) -> tf.data.Dataset:
    """Endless training batches; batch number t is a pure function of (seed, t).

    Every epoch of `steps_per_epoch` batches is a new permutation, computed and
    not stored, so that `start` continues a stopped run with exactly the batches
    that it would have seen. What does not fill a batch sits one epoch out.
    `augment` takes (raw features, seed of two integers) and begins with the
    second epoch: from clean examples a network learns the rough shape sooner.
    """

    def batch(position: Any) -> Batch:
        epoch, step = position // steps_per_epoch, position % steps_per_epoch
        order = tf.random.experimental.index_shuffle(
            step * batch_size + tf.range(batch_size, dtype=tf.int64),
            seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
            max_index=len(examples) - 1,
        )
        features, target = examples.take(tf.ensure_shape(order, [batch_size]))
        if augment is not None:
            changed = augment(features, tf.stack([tf.constant(seed, tf.int64), position]))
            features = tf.where(epoch < 1, features, changed)
        return Batch(features, target)

    positions = tf.data.Dataset.range(start, tf.int64.max)
    return _flow(positions, batch, prepare)


def _flow(
    positions: tf.data.Dataset,
    batch: Callable[[Any], Batch],
    prepare: Callable[[Any], Any] | None,
) -> tf.data.Dataset:
    # Nothing here needs AutoGraph, whose reading of the sources costs half a second.
    @tf.autograph.experimental.do_not_convert
    def prepared(position: Any) -> Batch:
        features, target = batch(position)
        return Batch(features if prepare is None else prepare(features), target)

    # Parallel calls keep their order, so that threads never change a batch.
    return positions.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
