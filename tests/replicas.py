"""A process of its own: five steps of each optimizer on two replicas, and on one.

Devices are divided before TensorFlow starts. Prints the names of those that agree.
"""

import keras
import numpy as np
import tensorflow as tf
from test_rules import START, slopes

import optimizers


def followed(rule, strategy):
    """The weights of every replica after five steps on gradients that add up to the same."""
    with strategy.scope():
        variables = [keras.Variable(one.astype("float32")) for one in START]
        made = rule(0.01)
        made.build(variables)

    def update(slope):
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group == 0
        shares = [0.25, 0.75] if context.num_replicas_in_sync == 2 else [1.0, 0.0]
        share = tf.where(first, *shares)
        made.apply([share * tf.cast(one, "float32") for one in slope], variables)

    step = tf.function(lambda slope: strategy.run(update, (slope,)))
    for number in range(5):
        step([tf.constant(one) for one in slopes(START, number)])
    return [strategy.experimental_local_results(variable.value) for variable in variables]


def main():
    """Every optimizer of ours."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for rule in optimizers.ALL:
        pairs = zip(followed(rule, both), followed(rule, tf.distribute.get_strategy()), strict=True)
        for (first, second), (alone,) in pairs:
            np.testing.assert_array_equal(first, second)
            np.testing.assert_allclose(first, alone, rtol=1e-5, err_msg=rule.__name__)
        print(rule.__name__)


if __name__ == "__main__":
    main()
