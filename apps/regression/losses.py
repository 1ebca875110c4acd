"""Losses of a team: each of its members is trained by its own."""

from typing import Any

import keras
from keras import ops


class SquaredError(keras.losses.Loss):
    """Mean over the members of the squared error, in variances of the training target."""

    def __init__(self, mean: float, scale: float) -> None:
        # Keras makes the target of this dtype: float32 has too few digits for a time in seconds.
        super().__init__(name="loss", dtype="float64")
        self.mean, self.scale = mean, scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Numbers [batch], standardised answers [batch, members, 1] -> [batch]."""
        return ops.mean(ops.square(self.errors(y_true, y_pred)), 1)

    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """What the members say too much, [batch, members]."""
        given = precise(y_pred[..., 0])
        wanted = (ops.cast(y_true, given.dtype) - self.mean) / self.scale
        return given - ops.reshape(wanted, (-1, 1))


class InsensitiveError(SquaredError):
    """The absolute error beyond a tenth of a deviation: support vector regression.

    References:
        Vapnik, The Nature of Statistical Learning Theory, 1995, chapter 6.

    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Numbers [batch], standardised answers [batch, members, 1] -> [batch]."""
        return ops.mean(ops.maximum(ops.abs(self.errors(y_true, y_pred)) - 0.1, 0), 1)


class Crossentropy(keras.losses.Loss):
    """Mean over the members of the cross-entropy in nats."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], logits [batch, members, classes] -> [batch]."""
        logs = ops.log_softmax(precise(y_pred))
        classes = ops.cast(ops.reshape(y_true, (-1, 1)), "int32")
        true = ops.one_hot(classes, y_pred.shape[-1], dtype=logs.dtype)
        return -ops.mean(ops.sum(true * logs, -1), 1)


class Hinge(keras.losses.Loss):
    """Hinge loss, each class against the rest."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], scores [batch, 1, classes] -> [batch]."""
        true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1, 1)), "int32"), y_pred.shape[-1])
        return ops.mean(ops.sum(ops.maximum(0, 1 - (2 * true - 1) * y_pred), -1), 1)


def precise(x: Any) -> Any:
    """In float32 at least."""
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")
