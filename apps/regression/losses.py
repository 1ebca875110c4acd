"""Losses of an ensemble: every member is trained by its own loss."""

from typing import Any

import keras
from keras import ops

INSENSITIVE_WIDTH = 0.1  # epsilon of support vector regression, in standard deviations


class SquaredError(keras.losses.Loss):
    """Squared error, averaged over the members, in variances of the training target."""

    def __init__(self, mean: float, scale: float) -> None:
        # Keras casts the target to this dtype: float32 has too few digits for a time in seconds.
        super().__init__(name="loss", dtype="float64")
        self.mean, self.scale = mean, scale

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Numbers [batch], standardised predictions [batch, members, 1] -> [batch]."""
        return ops.mean(ops.square(self.errors(y_true, y_pred)), 1)

    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """Predicted minus true, standardised, [batch, members]."""
        predicted = at_least_float32(y_pred[..., 0])
        true = (ops.cast(y_true, predicted.dtype) - self.mean) / self.scale
        return predicted - ops.reshape(true, (-1, 1))


class InsensitiveError(SquaredError):
    """The absolute error beyond a tenth of a standard deviation: support vector regression.

    References:
        Vapnik, The Nature of Statistical Learning Theory, 1995, chapter 6.

    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Numbers [batch], standardised predictions [batch, members, 1] -> [batch]."""
        errors = ops.abs(self.errors(y_true, y_pred))
        return ops.mean(ops.maximum(errors - INSENSITIVE_WIDTH, 0), 1)


class Crossentropy(keras.losses.Loss):
    """Cross-entropy, averaged over the members, in nats."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], logits [batch, members, classes] -> [batch]."""
        log_probabilities = ops.log_softmax(at_least_float32(y_pred))
        classes = ops.cast(ops.reshape(y_true, (-1, 1)), "int32")
        true = ops.one_hot(classes, y_pred.shape[-1], dtype=log_probabilities.dtype)
        return -ops.mean(ops.sum(true * log_probabilities, -1), 1)


class Hinge(keras.losses.Loss):
    """Hinge loss, each class against the rest."""

    def __init__(self) -> None:
        super().__init__(name="loss")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], scores [batch, 1, classes] -> [batch]."""
        true = ops.one_hot(ops.cast(ops.reshape(y_true, (-1, 1)), "int32"), y_pred.shape[-1])
        return ops.mean(ops.sum(ops.maximum(0, 1 - (2 * true - 1) * y_pred), -1), 1)


def at_least_float32(x: Any) -> Any:
    """`x`, cast to float32 unless it is float64."""
    return x if keras.backend.standardize_dtype(x.dtype) == "float64" else ops.cast(x, "float32")
