"""Which rows of every batch a worker sees, where several processes share the work."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from pipelines.examples import Batch


class Share(NamedTuple):
    """What one worker's replicas see of every batch: those from `first` on, `local` of them.

    A batch is cut into as many parts as there are replicas of all workers.
    """

    first: int
    local: int
    replicas: int

    def part(self, batch: Batch, place: Any) -> Batch:
        """The rows of element number `place` of this worker; sizes differ by one at most."""
        replica = self.first + place % self.local
        size = tf.shape(batch.target, tf.int64)[0]
        start, stop = (size * number // self.replicas for number in (replica, replica + 1))
        return tf.nest.map_structure(lambda rows: self._cut(rows, start, stop), batch)

    def _cut(self, rows: Any, start: Any, stop: Any) -> Any:
        size, left = divmod(rows.shape[0] or 1, self.replicas)
        known = None if rows.shape[0] is None or left else size
        return tf.ensure_shape(rows[start:stop], [known, *rows.shape[1:]])


WHOLE = Share(0, 1, 1)


def shared(flow: Callable[[Share], tf.data.Dataset]) -> Any:
    """What `fit` reads in the current strategy: a flow of whole batches, or of a worker's share.

    TensorFlow shares whole batches out by itself among the devices of one process. Among
    processes it would do so too, but each would prepare all rows to drop most of them.
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return flow(WHOLE)

    def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        return flow(Share(context.input_pipeline_id * local, local, context.num_replicas_in_sync))

    return strategy.distribute_datasets_from_function(own)


def distributed(batches: Any) -> Any:
    """Training batches for `strategy.run`, whether they are shares already or whole."""
    if isinstance(batches, tf.data.Dataset):
        return tf.distribute.get_strategy().experimental_distribute_dataset(batches)
    return batches
