"""Layers that turn one column of texts into standardised numbers, and flags.

Training examples come with the number of their fold, and get target statistics of the other folds.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.rows.text_hashing import (
    MAX_CHARACTERS,
    NUM_BUCKETS,
    hash_ngrams,
    to_code_points,
)

FROZEN: dict[str, Any] = {"dtype": "float32", "trainable": False, "autocast": False}
MIN_DEVIATION = 1e-6  # of numbers that are not constant
MIN_NORM = 1e-6  # a text without n-grams has the norm 0
NUM_HASHES = 2**62  # enough that categories do not collide


@dataclasses.dataclass(frozen=True, eq=False)
class FoldTables:
    """What an encoder looks up for training examples in place of its own table.

    Attributes:
        table: see the encoder.
        bias: of linear predictions, [folds, outputs].

    """

    table: Any
    bias: Any = None

    def in_memory(self) -> "FoldTables":
        """Return the same tables as tensors, so that no graph contains their numbers."""
        with tf.init_scope():
            bias = None if self.bias is None else tf.constant(self.bias, "float32")
            return FoldTables(tf.constant(self.table, "float32"), bias)


class Numbering:
    """Numbers the texts of a list, inside a graph."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    @functools.cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes in ascending order, and the number of the text of each."""
        with tf.init_scope():  # once, not in every batch
            known = tf.constant(self.texts, tf.string)
            hashes = tf.strings.to_hash_bucket_fast(known, NUM_HASHES).numpy()
        order = np.argsort(hashes)
        return hashes[order], order.astype("int32")

    def numbers(self, texts: Any) -> Any:
        """Return the number of each text [n], int32; -1 for others."""
        if not self.texts:
            return tf.fill(tf.shape(texts), -1)
        hashes, number = self._sorted
        own = tf.strings.to_hash_bucket_fast(texts, NUM_HASHES)
        place = tf.minimum(tf.searchsorted(hashes, own), len(hashes) - 1)
        return tf.where(tf.gather(hashes, place) == own, tf.gather(number, place), -1)


class ColumnEncoder(keras.layers.Layer):
    """Numbers of a column [batch, width], standardised by the training examples.

    Args:
        column: name of the column.
        width: of the numbers.

    """

    def __init__(self, column: str, width: int, **kwargs: Any) -> None:
        super().__init__(**FROZEN | kwargs)
        self.column, self.width = column, width
        self.fold_tables: FoldTables | None = None  # only in training

    @property
    def num_flags(self) -> int:
        """Number of flags besides the numbers."""
        return 0

    def flags(self, cells: Any) -> Any:
        """Return flags float32 [batch, num_flags] of texts."""
        return tf.zeros([tf.shape(cells)[0], 0])

    @property
    def sidecar(self) -> dict[str, Any]:
        """How a program encodes a cell as int32 [sidecar_width], if a code is not enough."""
        return {}

    @property
    def sidecar_width(self) -> int:
        """Numbers of an encoded cell."""
        return 1

    @property
    def known(self) -> list[str]:
        """The texts that int32 numbers stand for, in the order of these numbers."""
        return []

    def frozen(self, name: str, *shape: int) -> Any:
        """Make a weight that gradient descent does not change."""
        return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

    def standardise_by(self, values: np.ndarray) -> None:
        """Set mean and deviation to those of training examples, [rows, width]."""
        self.mean.assign(values.mean(0))
        self.deviation.assign(np.where(values.std(0) > MIN_DEVIATION, values.std(0), 1.0))

    def build(self, shape: Any = None) -> None:  # noqa: ARG002
        """Create the weights that all encoders have."""
        self.mean = self.frozen("mean", self.width)
        self.deviation = self.frozen("deviation", self.width)
        self.built = True

    def call(self, cells: Any, folds: Any = None) -> Any:
        """Encode texts or their numbers [batch]; `folds` [batch] of training examples, or None."""
        return (self.encode(cells, folds) - self.mean) / self.deviation

    def encode(self, cells: Any, folds: Any) -> Any:
        """Return the numbers before standardisation."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("athanor")
class TextNumbers(ColumnEncoder):
    """Numbers of free text: components and linear predictions of its hashed characters.

    The tf-idf of runs of 3 to 5 characters (of ideographs 1 or 2) is multiplied by the singular
    vectors that explain most of it, and by ridge regressions of the target.

    Args:
        column: name of the column.
        components: number of singular vectors.
        outputs: number of ridge regressions.

    References:
        Deerwester et al., Indexing by Latent Semantic Analysis, 1990; Weinberger et al., Feature
        Hashing for Large Scale Multitask Learning, ICML 2009.

    """

    def __init__(self, column: str, components: int, outputs: int, **kwargs: Any) -> None:
        super().__init__(column, components + outputs, **kwargs)
        self.components, self.outputs = components, outputs

    @property
    def sidecar(self) -> dict[str, Any]:
        """Code points."""
        return {"characters": MAX_CHARACTERS}

    @property
    def sidecar_width(self) -> int:
        """Number of code points."""
        return MAX_CHARACTERS

    def build(self, shape: Any = None) -> None:
        """Create the table of buckets: idf squared, then idf times each vector."""
        super().build(shape)
        self.table = self.frozen("table", NUM_BUCKETS + 1, 1 + self.width)

    def encode(self, cells: Any, folds: Any) -> Any:
        """Sum the rows of the table over the n-grams of a text, divided by the norm.

        `cells` are strings [batch], or code points int32 [batch, any]; see `to_code_points`.
        """
        by_fold = None if folds is None else self.fold_tables
        points = to_code_points(cells) if cells.dtype == tf.string else cells
        buckets = hash_ngrams(points)
        table = tf.convert_to_tensor(self.table) if by_fold is None else by_fold.table
        if cells.dtype == tf.string:
            used = tf.where(buckets > 0)
            sums = tf.sparse.segment_sum(
                table,
                tf.gather_nd(buckets, used),
                used[:, 0],
                num_segments=tf.shape(buckets)[0],
            )
        else:  # runtimes for few examples lack sparse sums
            sums = tf.reduce_sum(tf.gather(table, buckets), 1)
        numbers = sums[:, 1:] / tf.maximum(tf.sqrt(sums[:, :1]), MIN_NORM)
        if by_fold is None or not self.outputs:
            return numbers
        linear = tf.reshape(numbers[:, self.components :], [-1, *by_fold.bias.shape])
        linear = tf.gather(linear + by_fold.bias, folds, batch_dims=1)
        return tf.concat([numbers[:, : self.components], linear], 1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        own = {"column": self.column, "components": self.components, "outputs": self.outputs}
        return super().get_config() | own


@keras.saving.register_keras_serializable("athanor")
class CategoryMeans(ColumnEncoder):
    """Mean targets of the categories of a column, and the logarithm of their numbers of rows.

    Args:
        column: name of the column.
        categories: texts with a mean of their own; others get the common mean.
        outputs: number of targets.

    References:
        Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes, 2001.

    """

    def __init__(self, column: str, categories: list[str], outputs: int, **kwargs: Any) -> None:
        super().__init__(column, outputs + 1, **kwargs)
        self.categories, self.outputs = tuple(categories), outputs
        self.numbering = Numbering(self.categories)

    @property
    def known(self) -> list[str]:
        """The categories."""
        return list(self.categories)

    def build(self, shape: Any = None) -> None:
        """Create the table of categories; the last row is for unknown ones."""
        super().build(shape)
        self.table = self.frozen("table", len(self.categories) + 1, self.width)

    def encode(self, cells: Any, folds: Any) -> Any:
        """Look up texts [batch], or their int32 numbers."""
        codes = self.numbering.numbers(cells) if cells.dtype == tf.string else cells
        is_known = (codes >= 0) & (codes < len(self.categories))
        codes = tf.where(is_known, codes, len(self.categories))
        if folds is not None and self.fold_tables is not None:
            return tf.gather_nd(self.fold_tables.table, tf.stack([folds, codes], 1))
        return tf.gather(tf.convert_to_tensor(self.table), codes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        own = {"column": self.column, "categories": self.known, "outputs": self.outputs}
        return super().get_config() | own
