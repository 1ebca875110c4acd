"""The rows of every batch that one worker reads, when several processes train together."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from pipelines.examples import Batch, WeightedBatch


class WorkerShard(NamedTuple):
    """The replicas of one worker; each reads its part of every batch.

    Attributes:
        first_replica: number of this worker's first replica.
        local_replicas: replicas of this worker.
        num_replicas: replicas of all workers; a batch has as many parts.

    """

    first_replica: int
    local_replicas: int
    num_replicas: int

    def part(self, batch: Batch | WeightedBatch, element: Any) -> Any:
        """Return the rows of this worker's element number `element`; sizes differ by at most 1."""
        replica = self.first_replica + element % self.local_replicas
        size = tf.shape(batch.target, tf.int64)[0]
        start, stop = (size * number // self.num_replicas for number in (replica, replica + 1))
        return tf.nest.map_structure(lambda rows: self._slice(rows, start, stop), batch)

    def _slice(self, rows: Any, start: Any, stop: Any) -> Any:
        size, remainder = divmod(rows.shape[0] or 1, self.num_replicas)
        static_size = None if rows.shape[0] is None or remainder else size
        return tf.ensure_shape(rows[start:stop], [static_size, *rows.shape[1:]])


WHOLE_BATCH = WorkerShard(0, 1, 1)


def for_strategy(make_dataset: Callable[[WorkerShard], "tf.data.Dataset"]) -> Any:
    """Return the dataset that `fit` reads in this strategy: whole batches, or a worker's rows.

    TensorFlow divides whole batches among the devices of one process. It would do the same
    among several processes, but each would prepare all rows and drop most of them.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return make_dataset(WHOLE_BATCH)

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        num_replicas = context.num_replicas_in_sync
        local = num_replicas // context.num_input_pipelines
        return make_dataset(WorkerShard(context.input_pipeline_id * local, local, num_replicas))

    return strategy.distribute_datasets_from_function(of_worker)


def distribute(batches: Any) -> Any:
    """Distribute training batches for `strategy.run`, unless each worker reads its own rows."""
    if isinstance(batches, tf.data.Dataset):
        return tf.distribute.get_strategy().experimental_distribute_dataset(batches)
    return batches
