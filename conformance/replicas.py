"""Compare five optimizer steps on two replicas with five on one; run as a program.

    python -m conformance.replicas ADDRESS...

It splits the CPU into two devices before TensorFlow starts, and fails if weights differ.
"""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.subject import START, Subject, find_subject, gradients_at, make_variables


def weights_per_replica(subject: Subject, strategy: Any) -> list[tuple]:
    """Return the weights of every replica after five steps on parts of the same gradients.

    The gradient of the matrix is sparse, with two parts per row, as of an embedding.
    """
    with strategy.scope():
        weights = make_variables()
        optimizer = subject.new()
        optimizer.build(weights)

    def update(gradients: list[Any]) -> None:
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group == 0
        fractions = [0.25, 0.75] if context.num_replicas_in_sync == 2 else [1.0, 0.0]
        fraction = tf.where(is_first, *fractions)
        matrix, vector = (fraction * tf.cast(gradient, "float32") for gradient in gradients)
        optimizer.apply([_to_sparse(matrix), vector], weights)

    step = tf.function(lambda gradients: strategy.run(update, (gradients,)))
    for number in range(5):
        step([tf.constant(gradient) for gradient in gradients_at(START, number)])
    return [strategy.experimental_local_results(variable.value) for variable in weights]


def _to_sparse(gradient: Any) -> tf.IndexedSlices:
    """Split every row of a gradient into two parts of an IndexedSlices."""
    rows = tf.range(len(gradient))
    parts = tf.concat([0.25 * gradient, 0.75 * gradient], 0)
    return tf.IndexedSlices(parts, tf.concat([rows, rows], 0), tf.shape(gradient))


def main(addresses: list[str]) -> None:
    """Compare two replicas with one for every optimizer of the addresses."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for address in addresses:
        subject = find_subject(address)
        single = weights_per_replica(subject, tf.distribute.get_strategy())
        for (first, second), (expected,) in zip(
            weights_per_replica(subject, strategy), single, strict=True
        ):
            np.testing.assert_array_equal(first, second, address)
            np.testing.assert_allclose(first, expected, rtol=1e-5, err_msg=address)


if __name__ == "__main__":
    main(sys.argv[1:])
