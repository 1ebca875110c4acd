"""The one layer between raw columns and a network of numbers."""

from collections import Counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import Examples

LARGEST_VOCABULARY = 256
RARE = 4  # a category that fewer training examples have shares a place with unknown ones
FAR = 1000  # deviations from zero: beyond, float32 keeps too few digits of the differences


@keras.saving.register_keras_serializable("athanor")
class PrepareColumns(keras.layers.Layer):
    """Raw columns to what a network reads: all learnt on the training examples.

    Takes a dict of number columns (NaN: missing) and text columns, each [batch].
    Gives `numbers` [batch, columns], standardised, the median in place of what
    is missing, and `flags` [batch, flags], 0 or 1: one for each number column
    that had missing cells in training, one for each category of a text column.
    Unknown and rare categories have no flag. A missing text is a category like others.
    A text column may also come as int32: places in its categories, -1 for others. Numbers
    are centred and scaled in the dtype in which they come, float64 in training.

    Args:
        numbers: by column its median, mean and standard deviation.
        gaps: the number columns that had missing cells.
        categories: by column its categories.

    """

    def __init__(
        self,
        numbers: dict[str, list[float]],
        gaps: list[str],
        categories: dict[str, list[str]],
        **kwargs: Any,
    ) -> None:
        # Keras would make float32 of the columns before they are centred.
        options = {"dtype": "float32", "trainable": False, "autocast": False}
        super().__init__(**{**options, **kwargs})
        self.numbers, self.gaps, self.categories = dict(numbers), list(gaps), dict(categories)

    @classmethod
    def adapted(cls, train: Examples) -> "PrepareColumns":
        """The layer of these training examples."""
        columns = train.numpy().features
        numbers = {name: c for name, c in columns.items() if c.dtype != object}
        return cls(
            {name: _statistics(column) for name, column in numbers.items()},
            [name for name, column in numbers.items() if np.isnan(column).any()],
            {name: _vocabulary(c) for name, c in columns.items() if c.dtype == object},
        )

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Columns [batch] -> numbers and flags."""
        flags = [tf.math.is_nan(inputs[name])[:, None] for name in self.gaps]
        for name, known in self.categories.items():
            flags.append(_is_each(inputs[name], known))
        length = tf.shape(next(iter(inputs.values())))[:1]
        nothing = tf.zeros(tf.concat([length, [0]], 0))
        return {
            "numbers": tf.concat([nothing, *(self._number(inputs, n) for n in self.numbers)], 1),
            "flags": tf.concat([nothing, *(tf.cast(flag, "float32") for flag in flags)], 1),
        }

    def _number(self, inputs: dict[str, Any], name: str) -> Any:
        column = inputs[name]
        median, mean, scale = (tf.constant(one, column.dtype) for one in self.numbers[name])
        filled = tf.where(tf.math.is_nan(column), median, column)
        return tf.cast((filled - mean) / scale, "float32")[:, None]

    def offsets(self) -> dict[str, float]:
        """By column what to subtract before its numbers become float32; 0 for most."""
        return {name: offset(mean, scale) for name, (_, mean, scale) in self.numbers.items()}

    def shifted(self) -> "PrepareColumns":
        """The same layer for numbers from which `offsets` are subtracted already."""
        offsets = self.offsets()
        numbers = {
            name: [median - offsets[name], mean - offsets[name], scale]
            for name, (median, mean, scale) in self.numbers.items()
        }
        return PrepareColumns(numbers, self.gaps, self.categories, name=self.name)

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The widths of both."""
        (batch,) = next(iter(inputs.values())).shape
        num_flags = len(self.gaps) + sum(map(len, self.categories.values()))
        return {
            "numbers": keras.KerasTensor((batch, len(self.numbers)), "float32"),
            "flags": keras.KerasTensor((batch, num_flags), "float32"),
        }

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        own = {"numbers": self.numbers, "gaps": self.gaps, "categories": self.categories}
        return super().get_config() | own


def offset(mean: float, scale: float) -> float:
    """What to subtract from numbers of this mean and deviation before they become float32."""
    return mean if abs(mean) > FAR * scale else 0.0


def _is_each(column: Any, known: list[str]) -> Any:
    """Texts, or places in `known`, [batch] -> bool [batch, known]."""
    texts = column.dtype == tf.string
    each = tf.constant(known, tf.string) if texts else tf.range(len(known))
    return column[:, None] == each[None]


def _statistics(column: np.ndarray) -> list[float]:
    known = column[~np.isnan(column)].astype("float64")
    if not len(known):
        return [0.0, 0.0, 1.0]
    median = float(np.median(known))
    filled = np.where(np.isnan(column), median, column).astype("float64")
    return [median, float(filled.mean()), float(filled.std()) or 1.0]


def _vocabulary(column: np.ndarray) -> list[str]:
    """The categories that are not rare, frequent ones first."""
    counts = sorted(Counter(column.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
    known = [text for text, count in counts if count >= RARE]
    return [text.decode("utf-8", "replace") for text in known[:LARGEST_VOCABULARY]]
