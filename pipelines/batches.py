"""Turn examples into batches whose order is a pure function of seed and step."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.examples import Batch, Examples, WeightedBatch
from pipelines.sharding import WHOLE_BATCH, WorkerShard, for_strategy

Augment = Callable[[Any, Any, Any], Any]
BATCHES_PER_BUCKET = 50  # examples of this many batches are sorted by length together
MAX_TRAINING_BATCHES = 2**48  # effectively infinite
MAX_INFERENCE_BATCH_SIZE = 1000
# A network needs about 35 times the bytes of a photo of 224 x 224 pixels while it predicts.
MAX_INFERENCE_BATCH_BYTES = 2**22  # of the inputs


def ordered_batches(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> "tf.data.Dataset":
    """Batch the examples once, in their order; the last batch may be smaller.

    In a strategy's scope every replica gets at least one example of each batch:
    a replica without one would give NaN. Batches hold no weights.
    """
    return _single_pass(examples.unweighted(), batch_size, prepare)(WHOLE_BATCH)


def prepare_once(examples: Examples, prepare: Callable[[Any], Any]) -> Examples:
    """Return examples whose features are prepared, in memory, in the same order."""
    batches = ordered_batches(examples, batch_size=MAX_INFERENCE_BATCH_SIZE, prepare=prepare)
    features = [batch.features for batch in batches.as_numpy_iterator()]
    joined = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *features)
    return dataclasses.replace(Examples.of(joined, examples.targets), weight=examples.weights)


def inference_batch_size(features: Any) -> int:
    """Return the batch size for prediction.

    Args:
        features: shape and dtype of one example, or of each of its columns, as in a spec.
            Large examples get smaller batches.

    """
    columns = features.values() if isinstance(features, dict) else [features]
    size = sum(
        math.prod(shape) * (1 if dtype == "string" else np.dtype(dtype).itemsize)
        for shape, dtype in columns
    )
    return max(1, min(MAX_INFERENCE_BATCH_SIZE, MAX_INFERENCE_BATCH_BYTES // max(size, 1)))


def sharded_batches(
    examples: Examples,
    *,
    batch_size: int,
    prepare: Callable[[Any], Any] | None = None,
) -> Any:
    """Batch in order for Keras's `evaluate` and validation: each worker reads its own rows."""
    return for_strategy(_single_pass(examples, batch_size, prepare))


def _single_pass(
    examples: Examples, batch_size: int, prepare: Callable[[Any], Any] | None
) -> "Callable[[WorkerShard], tf.data.Dataset]":
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        batch_size = _size_for_replicas(replicas, len(examples), batch_size)

    def batch(step: Any) -> Batch | WeightedBatch:
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
    """Return infinite training batches; batch number t is a pure function of (seed, t).

    Every epoch of `steps_per_epoch` batches is a new permutation. It is computed, not stored, so
    that a resumed run continues at `start` with exactly the same batches. The examples left over
    at the end of an epoch are left out of it.

    If several workers train together, each reads its own rows of the same batches.

    Args:
        examples: what to train on.
        batch_size: examples in every batch.
        steps_per_epoch: batches in an epoch.
        seed: seed of the order and of augmentation.
        prepare: the preprocessing layer.
        augment: takes (raw features, target, seed of two integers) and returns features and
            target of the same form. It starts with the second epoch, because a network learns
            faster from unchanged examples at first.
        lengths: the length of each example. Examples of 50 batches are sorted by length, and
            these batches are shuffled, so that batches need little padding.
        start: number of the first batch.

    """
    order = _EpochOrder(len(examples), batch_size, steps_per_epoch, seed)

    def batch(position: Any) -> Batch | WeightedBatch:
        epoch, step = position // steps_per_epoch, position % steps_per_epoch
        rows = order.rows(epoch, step) if lengths is None else order.bucket(epoch, step, lengths)
        clean = examples.gather(tf.ensure_shape(rows, [batch_size]))
        if augment is None:
            return clean
        seeds = tf.stack([tf.constant(seed, tf.int64), position])
        features, target = augment(clean.features, clean.target, seeds)
        return clean._replace(
            features=tf.where(epoch < 1, clean.features, features),
            target=tf.where(epoch < 1, clean.target, target),
        )

    positions = range(start, MAX_TRAINING_BATCHES)
    return for_strategy(lambda shard: _dataset(positions, batch, prepare, shard))


def _size_for_replicas(replicas: int, count: int, size: int) -> int:
    """Largest multiple of `replicas` up to `size` whose last batch is empty or covers each."""
    sizes = range(max(replicas, size - size % replicas), 0, -replicas)
    return next((s for s in sizes if not 0 < count % s < replicas), replicas)


class _EpochOrder(NamedTuple):
    """Computes which examples are in each batch: one permutation per epoch, not stored."""

    num_examples: int
    batch_size: int
    steps_per_epoch: int
    seed: int

    def rows(self, epoch: Any, step: Any, batches: Any = 1) -> Any:
        """Return the examples of consecutive batches, int64 [batches x batch]."""
        positions = step * self.batch_size + tf.range(batches * self.batch_size, dtype=tf.int64)
        return self._shuffled(positions, self.num_examples, self.seed, epoch)

    def bucket(self, epoch: Any, step: Any, lengths: np.ndarray) -> Any:
        """Return the examples of one batch of a bucket that is sorted by length."""
        bucket = step // BATCHES_PER_BUCKET
        first = bucket * BATCHES_PER_BUCKET
        batches = tf.minimum(
            tf.constant(BATCHES_PER_BUCKET, tf.int64), self.steps_per_epoch - first
        )
        rows = self.rows(epoch, first, batches)
        rows = tf.gather(rows, tf.argsort(tf.gather(lengths, rows), stable=True))
        # Shuffle the batches of each bucket; otherwise short texts would always come first.
        position = self._shuffled(
            step % BATCHES_PER_BUCKET,
            batches,
            self.seed + 1,
            epoch * self.steps_per_epoch + bucket,
        )
        return rows[position * self.batch_size : (position + 1) * self.batch_size]

    @staticmethod
    def _shuffled(positions: Any, count: Any, seed: int, permutation: Any) -> Any:
        return tf.random.experimental.index_shuffle(
            positions,
            seed=tf.stack([tf.constant(seed, tf.int64), permutation]),
            max_index=count - 1,
        )


def _dataset(
    positions: range,
    batch: Callable[[Any], Batch | WeightedBatch],
    prepare: Callable[[Any], Any] | None,
    shard: WorkerShard,
) -> "tf.data.Dataset":
    """Make the prepared batches at some positions, or a worker's shards of them."""
    local = shard.local_replicas

    # AutoGraph is not needed, and takes half a second to parse the source.
    @tf.autograph.experimental.do_not_convert
    def prepared(element: Any) -> Batch | WeightedBatch:
        whole = batch(element // local)
        part = whole if shard == WHOLE_BATCH else shard.part(whole, element)
        return part if prepare is None else part._replace(features=prepare(part.features))

    elements = tf.data.Dataset.range(positions.start * local, positions.stop * local)
    # Parallel calls keep their order, so that threads never change a batch.
    batches = elements.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    if shard == WHOLE_BATCH or positions.stop < MAX_TRAINING_BATCHES:
        return batches
    # Otherwise workers would synchronise before every step to check that a batch is left.
    return batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
