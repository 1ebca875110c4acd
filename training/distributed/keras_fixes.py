"""What Keras 3.15 does wrong where several devices share the work, put right; a function each.

Seen in Keras 3.15.1 with TensorFlow 2.21.0. Nothing changes for one device.
"""

from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.tensorflow import trainer


def symbolic_build() -> None:
    """Build a model from one replica's part of the first batch.

    Keras takes the mean of all parts, which fails where they are not equally large
    (keras-team/keras#20585).
    """
    usual = trainer.TensorFlowTrainer._maybe_symbolic_build
    if getattr(usual, "is_ours", False):
        return

    def build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = self._distribute_strategy
        if strategy is None or strategy.num_replicas_in_sync == 1:
            usual(self, iterator=iterator, data_batch=data_batch)
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

    build.is_ours = True  # type: ignore[attr-defined]
    trainer.TensorFlowTrainer._maybe_symbolic_build = build


def random_layers() -> None:
    """Let every replica draw its own random numbers.

    Keras gives all of them the same seeds: one mask of dropout for all parts of a batch.
    """
    usual = keras.random.SeedGenerator.next
    if getattr(usual, "is_ours", False):
        return

    def draw(self: Any, ordered: bool = True) -> Any:
        seed = usual(self, ordered)
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        number = tf.cast(context.replica_id_in_sync_group, seed.dtype)
        return seed + tf.stack([number * 7919, tf.zeros_like(number)])

    draw.is_ours = True  # type: ignore[attr-defined]
    keras.random.SeedGenerator.next = draw


def logs() -> None:
    """Show of a step what this worker's replica found, where there are several workers.

    Keras asks for the mean of scalars over an axis that they have not, which TensorFlow refuses
    (keras-team/keras#20585, tensorflow/tensorflow#72388). What an epoch found is the metrics'
    own sum over all replicas, so that no step need wait for a mean that only a bar shows.
    """
    usual = trainer.reduce_per_replica
    if getattr(usual, "is_ours", False):
        return

    def reduced(values: Any, strategy: Any, reduction: str) -> Any:
        several = trainer._collective_all_reduce_multi_worker(strategy)
        if not several or reduction == "concat":
            return usual(values, strategy, reduction)
        return tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0], values
        )

    reduced.is_ours = True  # type: ignore[attr-defined]
    trainer.reduce_per_replica = reduced
