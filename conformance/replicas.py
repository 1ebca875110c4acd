"""A process of its own: five steps of optimizers on two replicas, and on one.

    python -m conformance.replicas ADDRESS...

Devices are divided before TensorFlow starts. Fails where the weights differ.
"""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.subject import START, Subject, slopes, subject, variables


def followed(one: Subject, strategy: Any) -> list[tuple]:
    """The weights of every replica after five steps on gradients that add up to the same.

    That of the matrix comes as an embedding's, in parts of which two are of one row.
    """
    with strategy.scope():
        some = variables()
        made = one.new()
        made.build(some)

    def update(gradients: list[Any]) -> None:
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group == 0
        shares = [0.25, 0.75] if context.num_replicas_in_sync == 2 else [1.0, 0.0]
        share = tf.where(first, *shares)
        matrix, vector = (share * tf.cast(gradient, "float32") for gradient in gradients)
        made.apply([_in_parts(matrix), vector], some)

    step = tf.function(lambda gradients: strategy.run(update, (gradients,)))
    for number in range(5):
        step([tf.constant(gradient) for gradient in slopes(START, number)])
    return [strategy.experimental_local_results(variable.value) for variable in some]


def _in_parts(gradient: Any) -> tf.IndexedSlices:
    """Every row twice, whose sum is the gradient's."""
    rows = tf.range(len(gradient))
    parts = tf.concat([0.25 * gradient, 0.75 * gradient], 0)
    return tf.IndexedSlices(parts, tf.concat([rows, rows], 0), tf.shape(gradient))


def main(addresses: list[str]) -> None:
    """Every optimizer of the addresses."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for address in addresses:
        one = subject(address)
        pairs = zip(followed(one, both), followed(one, tf.distribute.get_strategy()), strict=True)
        for (first, second), (alone,) in pairs:
            np.testing.assert_array_equal(first, second, address)
            np.testing.assert_allclose(first, alone, rtol=1e-5, err_msg=address)


if __name__ == "__main__":
    main(sys.argv[1:])
