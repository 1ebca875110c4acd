"""A linear model on n-grams as a layer, and its blend with a network."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.text.ngram_weights import LinearModel
from pipelines.texts.words import PADDING


@keras.saving.register_keras_serializable("athanor")
class NgramLogits(keras.layers.Layer):
    """A linear model on n-grams; `assign` takes its weights, which `apps.text.ngram_weights` fits.

    Args:
        num_ngrams: numbers of n-grams of each kind. An n-gram is a number from 1; 0 is none.
        num_classes: logits.
        one_column: whether the weights are for the second of two classes, and against the first.

    """

    def __init__(
        self, num_ngrams: Sequence[int], num_classes: int, *, one_column: bool, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.num_ngrams, self.num_classes = list(num_ngrams), num_classes
        self.one_column = one_column

    def build(self, ngrams_shape: Any) -> None:  # noqa: ARG002
        """Create the weights that `assign` sets."""
        columns = 1 if self.one_column else self.num_classes
        rows = sum(self.num_ngrams) + 1
        shapes = {"importance": (rows,), "table": (rows, columns), "bias": (columns,)}
        for name, shape in shapes.items():
            weight = self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            setattr(self, name, weight)

    def assign(self, model: LinearModel) -> None:
        """Take the weights of a fitted model, in which the first n-gram has the number 0."""
        self.importance.assign(np.concatenate([[0.0], model.importance]))
        table = model.importance[:, np.newaxis] * model.coefficients
        self.table.assign(np.pad(table, [[1, 0], [0, 0]]))
        self.bias.assign(model.bias)

    def call(self, ngrams: Any) -> Any:
        """Numbers of n-grams [batch, any] -> logits [batch, num_classes]."""
        ngrams = tf.cast(ngrams, tf.int32)
        batch, kinds = tf.shape(ngrams)[0], len(self.num_ngrams)
        positions = tf.where(ngrams != PADDING)
        numbers, rows = tf.gather_nd(ngrams, positions), tf.cast(positions[:, 0], tf.int32)
        last = np.cumsum(self.num_ngrams)[:-1]
        kind = tf.reduce_sum(tf.cast(numbers[:, tf.newaxis] > last, tf.int32), 1)
        # Sorted by text and kind, as segments have to be.
        order = tf.argsort(rows * kinds + kind, stable=True)
        numbers, segment = tf.gather(numbers, order), tf.gather(rows * kinds + kind, order)
        # Sums without a tensor of [batch, n-grams, classes], which long texts would make huge.
        total = tf.raw_ops.SparseSegmentSumWithNumSegments(
            data=self.table, indices=numbers, segment_ids=segment, num_segments=batch * kinds
        )
        squares = tf.square(tf.gather(self.importance, numbers))
        length = tf.sqrt(tf.math.unsorted_segment_sum(squares, segment, batch * kinds))
        scores = tf.math.divide_no_nan(total, length[:, tf.newaxis])
        scores = tf.reduce_sum(tf.reshape(scores, [batch, kinds, self.table.shape[1]]), 1)
        logits = scores + self.bias
        return tf.concat([-logits, logits], axis=1) if self.one_column else logits

    def compute_output_spec(self, ngrams: Any) -> Any:
        """Floats [batch, num_classes]."""
        return keras.KerasTensor((ngrams.shape[0], self.num_classes), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        own = {"num_ngrams": self.num_ngrams, "num_classes": self.num_classes}
        return super().get_config() | own | {"one_column": self.one_column}


@keras.saving.register_keras_serializable("athanor")
class LogitBlend(keras.layers.Layer):
    """The sum of the logits of some parts, each times a factor that validation estimates.

    At first only the last part counts.

    Args:
        names: of the parts, for the user.

    """

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.names = list(names)

    def build(self, shapes: Any) -> None:  # noqa: ARG002
        """Create the factors, and for the user shares, losses alone and gains of the parts."""
        size = (len(self.names),)
        for name in ("factors", "shares", "losses_alone", "gains"):
            weight = self.add_weight(shape=size, initializer="zeros", trainable=False, name=name)
            setattr(self, name, weight)
        self.factors.assign(np.eye(len(self.names))[-1])

    def assign(
        self, factors: np.ndarray, alone: np.ndarray, losses: list[float], gains: list[float]
    ) -> None:
        """Take the factors of the parts together and of each alone, and what they are worth.

        `losses` are those of each part alone, `gains` the shares of the loss of the others that
        each part saves.
        """
        shares = factors / np.maximum(alone, 1e-9)
        self.factors.assign(factors)
        self.shares.assign(shares / max(shares.sum(), 1e-9))
        self.losses_alone.assign(losses)
        self.gains.assign(gains)

    def call(self, logits: list[Any]) -> Any:
        """Add logits [batch, classes] of each part."""
        return sum(tf.cast(part, "float32") * self.factors[k] for k, part in enumerate(logits))

    def describe_blend(self) -> dict[str, dict[str, float]]:
        """Return share, validation loss alone and gain of each part; {} before the fit."""
        keys = ("weight", "validation_loss", "gain")
        columns = (self.shares, self.losses_alone, self.gains)
        rows = zip(*(column.numpy().tolist() for column in columns), strict=True)
        if len(self.names) == 1 or not self.losses_alone.numpy().any():
            return {}
        return {
            name: dict(zip(keys, row, strict=True))
            for name, row in zip(self.names, rows, strict=True)
        }

    def compute_output_spec(self, logits: list[Any]) -> Any:
        """Floats [batch, classes]."""
        return keras.KerasTensor(logits[0].shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"names": self.names}
