"""Splits become batches, in one place and in an order that is a pure function."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.examples import Batch, Examples
from pipelines.sharding import WHOLE, Share, shared

Augment = Callable[[Any, Any, Any], Any]
POOL = 50  # batches among which like meets like
ENDLESS = 2**48
MAX_JUDGED = 1000  # examples that a model is asked at once
# A network on photos of 224 x 224 holds some 35 times the bytes of each while it answers.
MAX_JUDGED_BYTES = 2**22


def feed(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> tf.data.Dataset:
    """One pass over the examples in their order; the last batch may be smaller.

    In a strategy's scope batches are such that each replica gets some of every one: without
    an example it would answer NaN.
    """
    return _passing(examples, batch_size, prepare)(WHOLE)


def judging_batch(features: Any) -> int:
    """How many examples to ask a model at once, outside of training: large ones fewer.

    Args:
        features: shape and dtype of one example, or of each of its columns, as in a spec.

    """
    columns = features.values() if isinstance(features, dict) else [features]
    size = sum(
        math.prod(shape) * (1 if dtype == "string" else np.dtype(dtype).itemsize)
        for shape, dtype in columns
    )
    return max(1, min(MAX_JUDGED, MAX_JUDGED_BYTES // max(size, 1)))


def feed_shared(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> Any:
    """As `feed`, for `evaluate` and the validation of `fit`: each worker reads its share."""
    return shared(_passing(examples, batch_size, prepare))


def _passing(
    examples: Examples, batch_size: int, prepare: Callable[[Any], Any] | None
) -> Callable[[Share], tf.data.Dataset]:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        batch_size = _for_all(replicas, len(examples), batch_size)

    def batch(step: Any) -> Batch:
        start = step * batch_size
        return examples.take(tf.range(start, tf.minimum(start + batch_size, len(examples))))

    steps = -(-len(examples) // batch_size)
    return lambda share: _flow(range(steps), batch, prepare, share)


def feed_shuffled(
    examples: Examples,
    *,
    batch_size: int,
    steps_per_epoch: int,
    seed: int,
    prepare: Callable[[Any], Any] | None = None,
    augment: Augment | None = None,
    lengths: np.ndarray | None = None,
    start: int = 0,
) -> Any:
    """Endless training batches; batch number t is a pure function of (seed, t).

    Every epoch of `steps_per_epoch` batches is a new permutation, computed and
    not stored, so that `start` continues a stopped run with exactly the batches
    that it would have seen. What does not fill a batch sits one epoch out.
    `augment` takes (raw features, target, seed of two integers), gives features
    and target of the same form, and begins with the second epoch: from clean
    examples a network learns the rough shape sooner. With `lengths`, one for each
    example, the batches of every 50 share their examples out by length and then
    come in random order, so that little of a padded batch is padding. Where several
    workers train together, each reads its rows of these same batches.
    """
    order = _Order(len(examples), batch_size, steps_per_epoch, seed)

    def batch(position: Any) -> Batch:
        epoch, step = position // steps_per_epoch, position % steps_per_epoch
        rows = order.rows(epoch, step) if lengths is None else order.alike(epoch, step, lengths)
        clean = examples.take(tf.ensure_shape(rows, [batch_size]))
        if augment is None:
            return clean
        changed = augment(*clean, tf.stack([tf.constant(seed, tf.int64), position]))
        return Batch(*(tf.where(epoch < 1, *pair) for pair in zip(clean, changed, strict=True)))

    return shared(lambda share: _flow(range(start, ENDLESS), batch, prepare, share))


def _for_all(replicas: int, count: int, size: int) -> int:
    """A multiple of the replicas, `size` at most where that can be, that leaves as many or none."""
    sizes = range(max(replicas, size - size % replicas), 0, -replicas)
    return next((s for s in sizes if not 0 < count % s < replicas), replicas)


class _Order(NamedTuple):
    """Which examples make a batch: a permutation an epoch, computed and not stored."""

    size: int
    batch_size: int
    steps: int
    seed: int

    def rows(self, epoch: Any, step: Any, batches: Any = 1) -> Any:
        """The examples of some batches in a row, int64 [batches x batch]."""
        places = step * self.batch_size + tf.range(batches * self.batch_size, dtype=tf.int64)
        return self._shuffled(places, self.size, self.seed, epoch)

    def alike(self, epoch: Any, step: Any, lengths: np.ndarray) -> Any:
        """The examples of a batch of its pool, which is sorted by length."""
        pool = step // POOL
        batches = tf.minimum(tf.constant(POOL, tf.int64), self.steps - pool * POOL)
        rows = self.rows(epoch, pool * POOL, batches)
        rows = tf.gather(rows, tf.argsort(tf.gather(lengths, rows), stable=True))
        # Its own permutation a pool, or short texts would always come first.
        place = self._shuffled(step % POOL, batches, self.seed + 1, epoch * self.steps + pool)
        return rows[place * self.batch_size : (place + 1) * self.batch_size]

    @staticmethod
    def _shuffled(places: Any, count: Any, seed: int, turn: Any) -> Any:
        return tf.random.experimental.index_shuffle(
            places, seed=tf.stack([tf.constant(seed, tf.int64), turn]), max_index=count - 1
        )


def _flow(
    positions: range,
    batch: Callable[[Any], Batch],
    prepare: Callable[[Any], Any] | None,
    share: Share,
) -> tf.data.Dataset:
    """The batches at some positions, or a worker's parts of them, prepared."""

    # Nothing here needs AutoGraph, whose reading of the sources costs half a second.
    @tf.autograph.experimental.do_not_convert
    def prepared(place: Any) -> Batch:
        found = batch(place // share.local)
        features, target = found if share == WHOLE else share.part(found, place)
        return Batch(features if prepare is None else prepare(features), target)

    places = tf.data.Dataset.range(positions.start * share.local, positions.stop * share.local)
    # Parallel calls keep their order, so that threads never change a batch.
    batches = places.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    if share == WHOLE or positions.stop < ENDLESS:
        return batches
    # Else workers would agree before every step that there is one more.
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
