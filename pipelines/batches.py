"""Turn examples into batches, in an order that is a pure function of seed and step."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.examples import Batch, Examples
from pipelines.sharding import WHOLE_BATCH, WorkerShard, for_strategy

Augment = Callable[[Any, Any, Any], Any]
BATCHES_PER_BUCKET = 50  # batches that are sorted by length together
MAX_TRAINING_BATCHES = 2**48  # in place of an endless number
MAX_INFERENCE_BATCH = 1000  # examples
# While a network answers photos of 224 x 224 it holds some 35 times the bytes of each.
MAX_INFERENCE_BYTES = 2**22


def ordered_batches(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> tf.data.Dataset:
    """One pass over the examples in their order; the last batch may be smaller.

    In a strategy's scope every replica gets at least one example of each batch:
    a replica without one would give NaN.
    """
    return _one_pass(examples, batch_size, prepare)(WHOLE_BATCH)


def inference_batch_size(features: Any) -> int:
    """The number of examples that a model is given at once outside of training.

    Args:
        features: shape and dtype of one example, or of each of its columns, as in a spec.
            Large examples come in smaller batches.

    """
    columns = features.values() if isinstance(features, dict) else [features]
    size = sum(
        math.prod(shape) * (1 if dtype == "string" else np.dtype(dtype).itemsize)
        for shape, dtype in columns
    )
    return max(1, min(MAX_INFERENCE_BATCH, MAX_INFERENCE_BYTES // max(size, 1)))


def sharded_batches(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> Any:
    """As `ordered_batches`, for Keras's `evaluate` and validation: each worker reads its rows."""
    return for_strategy(_one_pass(examples, batch_size, prepare))


def _one_pass(
    examples: Examples, batch_size: int, prepare: Callable[[Any], Any] | None
) -> Callable[[WorkerShard], tf.data.Dataset]:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        batch_size = _size_for_replicas(replicas, len(examples), batch_size)

    def batch(step: Any) -> Batch:
        start = step * batch_size
        return examples.gather(tf.range(start, tf.minimum(start + batch_size, len(examples))))

    steps = -(-len(examples) // batch_size)
    return lambda shard: _dataset(range(steps), batch, prepare, shard)


def shuffled_batches(
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

    Every epoch of `steps_per_epoch` batches is a new permutation, which is computed and
    not stored, so that an interrupted run continues at `start` with exactly the batches
    that it would have seen. Examples that do not fill a batch are left out of that epoch.

    Where several workers train together, each reads its rows of these same batches.

    Args:
        examples: what to train on.
        batch_size: examples in every batch.
        steps_per_epoch: batches in an epoch.
        seed: of order and augmentation.
        prepare: the preprocessing layer.
        augment: takes (raw features, target, seed of two integers) and gives features and
            target of the same form. It begins with the second epoch: from unchanged
            examples a network learns the rough shape sooner.
        lengths: of each example. Every 50 batches are sorted by length and then come in
            random order, so that little of a padded batch is padding.
        start: number of the first batch.

    """
    order = _Order(len(examples), batch_size, steps_per_epoch, seed)

    def batch(position: Any) -> Batch:
        epoch, step = position // steps_per_epoch, position % steps_per_epoch
        rows = order.rows(epoch, step) if lengths is None else order.bucket(epoch, step, lengths)
        clean = examples.gather(tf.ensure_shape(rows, [batch_size]))
        if augment is None:
            return clean
        changed = augment(*clean, tf.stack([tf.constant(seed, tf.int64), position]))
        return Batch(*(tf.where(epoch < 1, *pair) for pair in zip(clean, changed, strict=True)))

    positions = range(start, MAX_TRAINING_BATCHES)
    return for_strategy(lambda shard: _dataset(positions, batch, prepare, shard))


def _size_for_replicas(replicas: int, count: int, size: int) -> int:
    """Largest multiple of `replicas` up to `size` whose last batch is empty or covers each."""
    sizes = range(max(replicas, size - size % replicas), 0, -replicas)
    return next((s for s in sizes if not 0 < count % s < replicas), replicas)


class _Order(NamedTuple):
    """The examples of each batch: a permutation an epoch, computed and not stored."""

    num_examples: int
    batch_size: int
    steps_per_epoch: int
    seed: int

    def rows(self, epoch: Any, step: Any, batches: Any = 1) -> Any:
        """The examples of some consecutive batches, int64 [batches x batch]."""
        places = step * self.batch_size + tf.range(batches * self.batch_size, dtype=tf.int64)
        return self._shuffled(places, self.num_examples, self.seed, epoch)

    def bucket(self, epoch: Any, step: Any, lengths: np.ndarray) -> Any:
        """The examples of a batch out of its bucket, which is sorted by length."""
        bucket = step // BATCHES_PER_BUCKET
        first = bucket * BATCHES_PER_BUCKET
        batches = tf.minimum(
            tf.constant(BATCHES_PER_BUCKET, tf.int64), self.steps_per_epoch - first
        )
        rows = self.rows(epoch, first, batches)
        rows = tf.gather(rows, tf.argsort(tf.gather(lengths, rows), stable=True))
        # Each bucket has a permutation of its own, or short texts would always come first.
        place = self._shuffled(
            step % BATCHES_PER_BUCKET,
            batches,
            self.seed + 1,
            epoch * self.steps_per_epoch + bucket,
        )
        return rows[place * self.batch_size : (place + 1) * self.batch_size]

    @staticmethod
    def _shuffled(places: Any, count: Any, seed: int, permutation: Any) -> Any:
        return tf.random.experimental.index_shuffle(
            places, seed=tf.stack([tf.constant(seed, tf.int64), permutation]), max_index=count - 1
        )


def _dataset(
    positions: range,
    batch: Callable[[Any], Batch],
    prepare: Callable[[Any], Any] | None,
    shard: WorkerShard,
) -> tf.data.Dataset:
    """The prepared batches at some positions, or a worker's parts of them."""
    local = shard.local_replicas

    # Nothing here needs AutoGraph, which takes half a second to read the sources.
    @tf.autograph.experimental.do_not_convert
    def prepared(element: Any) -> Batch:
        found = batch(element // local)
        features, target = found if shard == WHOLE_BATCH else shard.part(found, element)
        return Batch(features if prepare is None else prepare(features), target)

    elements = tf.data.Dataset.range(positions.start * local, positions.stop * local)
    # Parallel calls keep their order, so that threads never change a batch.
    batches = elements.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    if shard == WHOLE_BATCH or positions.stop < MAX_TRAINING_BATCHES:
        return batches
    # Otherwise workers would agree before every step that there is one more.
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
