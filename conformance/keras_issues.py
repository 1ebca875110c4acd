"""Bugs in Keras 3.15's optimizers, each with code that reproduces it.

`conformance.page` runs them. Delete an issue that no longer reproduces.
"""

import contextlib
import io
from typing import NamedTuple


class KerasIssue(NamedTuple):
    """A bug to report to Keras.

    Attributes:
        title: What happens, in one sentence.
        code: Prints the wrong result.
        expected: Correct output.

    """

    title: str
    code: str
    expected: str

    def actual(self) -> str:
        """Run the code and return its output."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(self.code, {})
        return output.getvalue().strip()


KERAS_ISSUES = (
    KerasIssue(
        "Optimizers that square gradients (Adam, RMSprop, Adagrad, ...) square the parts of a row "
        "that occurs twice in a batch, not their sum: embeddings differ from dense tables.",
        """\
import keras, numpy as np, tensorflow as tf

parts = tf.IndexedSlices(tf.constant([[1.0], [1.0]]), tf.constant([0, 0]), tf.constant([1, 1]))
for gradient in (parts, tf.convert_to_tensor(parts)):
    table = keras.Variable(np.zeros((1, 1), "float32"))
    keras.optimizers.Adam(0.1).apply([gradient], [table])
    print(round(float(table.numpy()[0, 0]), 4))
""",
        "-0.1\n-0.1",
    ),
    KerasIssue(
        "Adam, AdamW, Nadam, Lamb and Muon do not move weights in bfloat16: there beta_2 rounds "
        "to 1, and 1 - beta_2^t to 0. (Mixed precision keeps weights in float32.)",
        """\
import keras, tensorflow as tf

weight = keras.Variable(1.0, dtype="bfloat16")
adam = keras.optimizers.Adam(0.5)
for _ in range(10):
    adam.apply([tf.constant(1.0, "bfloat16")], [weight])
print(float(weight.numpy()))
""",
        "-4.0",
    ),
    KerasIssue(
        "Nadam's momentum warms up by 0.96^t, not by Dozat's 0.96^(t / 250): the warmup ends "
        "after some fifty steps.",
        """\
import keras, tensorflow as tf

weight, nadam = keras.Variable(0.0), keras.optimizers.Nadam(0.1)
for gradient in (1.0, 0.0):
    nadam.apply([tf.constant(gradient)], [weight])
print(round(float(weight.numpy()), 4))
""",
        "-0.112",
    ),
    KerasIssue(
        "Adam's 1 - beta^t is computed in float32 from powers of a rounded beta_2: the first "
        "steps are wrong from the fifth digit on.",
        """\
import keras, numpy as np, tensorflow as tf

weight = keras.Variable(np.float32(0.0))
keras.optimizers.Adam(1.0, epsilon=0.0).apply([tf.constant(1.0)], [weight])
print(f"{float(weight.numpy()):.6f}")
""",
        "-1.000000",
    ),
    KerasIssue(
        "ScheduleFreeAdamW reads its old momentum after the assignment on TensorFlow.",
        """\
import keras, tensorflow as tf

weight = keras.Variable(0.0)
made = keras.optimizers.ScheduleFreeAdamW(0.1, warmup_steps=0, beta_1=0.5, epsilon=0.0)
for _ in range(2):
    made.apply([tf.constant(1.0)], [weight])
print(round(float(weight.numpy()), 3))  # z: -0.1, -0.2; x: -0.1, -0.15; their mean
""",
        "-0.175",
    ),
    KerasIssue(
        "Lamb cannot be deserialized from its configuration.",
        """\
import keras

config = keras.optimizers.serialize(keras.optimizers.Lamb())
print(type(keras.optimizers.deserialize(config)).__name__)
""",
        "Lamb",
    ),
    KerasIssue(
        "Ftrl makes weights NaN at a learning rate of 0, at which a schedule may end.",
        """\
import keras, tensorflow as tf

weight = keras.Variable(1.0)
keras.optimizers.Ftrl(0.0).apply([tf.constant(1.0)], [weight])
print(float(weight.numpy()))
""",
        "1.0",
    ),
    KerasIssue(
        "A negative or NaN learning rate is accepted without an error.",
        """\
import keras

print(float(keras.optimizers.Adam(float("nan")).learning_rate.numpy()))
""",
        "a ValueError",
    ),
)
