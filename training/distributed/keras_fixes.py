"""Fixes for bugs of Keras 3.15 with tf.distribute, one function per bug.

Seen in Keras 3.15.1 with TensorFlow 2.21.0. Training on one device does not change.
"""

from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import trainer


def symbolic_build() -> None:
    """Build a model from one replica's part of the first batch.

    Keras takes the mean of all parts, which fails if they differ in size
    (keras-team/keras#20585).
    """
    original = trainer.TensorFlowTrainer._maybe_symbolic_build
    if getattr(original, "is_patched", False):
        return

    def build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = self._distribute_strategy
        if strategy is None or strategy.num_replicas_in_sync == 1:
            original(self, iterator=iterator, data_batch=data_batch)
            return
        if iterator is not None:
            for _, _, batches in iterator:
                parts = next(batches)
                data_batch = tf.nest.map_structure(
                    lambda part: strategy.experimental_local_results(part)[0], parts
                )
                break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    build.is_patched = True  # type: ignore[attr-defined]
    trainer.TensorFlowTrainer._maybe_symbolic_build = build


def random_layers() -> None:
    """Give every replica its own random numbers.

    Keras gives all replicas the same seeds, so all parts of a batch get the same dropout mask.
    """
    original = keras.random.SeedGenerator.next
    if getattr(original, "is_patched", False):
        return

    def draw(self: Any, ordered: bool = True) -> Any:
        seed = original(self, ordered)
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        number = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + tf.stack([number * 7919, tf.zeros_like(number)])

    draw.is_patched = True  # type: ignore[attr-defined]
    keras.random.SeedGenerator.next = draw


def logs() -> None:
    """Log the values of this worker's replica for each step, with several workers.

    Keras reduces scalars over an axis that does not exist, which TensorFlow rejects
    (keras-team/keras#20585, tensorflow/tensorflow#72388). The metrics of an epoch are sums over
    all replicas, so no step has to wait for a mean that only the progress bar shows.
    """
    original = trainer.reduce_per_replica
    if getattr(original, "is_patched", False):
        return

    def reduced(values: Any, strategy: Any, reduction: str) -> Any:
        several = trainer._collective_all_reduce_multi_worker(strategy)
        if not several or reduction == "concat":
            return original(values, strategy, reduction)
        return tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], values
        )

    reduced.is_patched = True  # type: ignore[attr-defined]
    trainer.reduce_per_replica = reduced
