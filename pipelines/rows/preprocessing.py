"""The one layer between raw columns and a network of numbers."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples
from pipelines.rows.column_kinds import MIN_CATEGORY_EXAMPLES
from pipelines.rows.packing import Kinds, of_kind
from pipelines.tables.table import listed

LARGEST_VOCABULARY = 256
FAR = 1000  # deviations from zero: beyond, float32 keeps too few digits of the differences
BUCKETS = 2**62  # so many that no two texts meet in one


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What `PrepareColumns` learns from training examples; its arguments explain it.

    An object of this class is no dict: of a layer's dicts Keras wraps every list in them,
    which takes seconds where columns are thousands.
    """

    numbers: dict[str, list[float]]
    gaps: list[str]
    categories: dict[str, list[str]]
    ends: dict[str, list[float]]


@keras.saving.register_keras_serializable("athanor")
class PrepareColumns(keras.layers.Layer):
    """Raw columns to what a network reads: all learnt on the training examples.

    Takes `numbers` [batch, n] (NaN: missing) and `texts` [batch, m], their columns in the
    order of the arguments. Gives `numbers` float32 [batch, n], standardised, the median in
    place of what is missing, and `flags` [batch, flags], 0 or 1: one for each number column
    that had missing cells in training, one for each category of a text column. Unknown and
    rare categories have no flag. A missing text is a category like others.

    Numbers are centred in the precision in which they come, float64 in training: float32
    holds the seconds of a date to within minutes. Texts may also come as int32: places in
    the categories of their column, -1 for others.

    Args:
        numbers: by column its median, mean and standard deviation.
        gaps: the number columns that had missing cells.
        categories: by column its categories.
        ends: by number column between which values it is usual to ask, see `ends_of`; a
            layer from before they were kept has none.

    """

    def __init__(
        self,
        numbers: dict[str, list[float]],
        gaps: list[str],
        categories: dict[str, list[str]],
        ends: dict[str, list[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        own = {"dtype": "float32", "trainable": False, "autocast": False}
        super().__init__(**own | kwargs)
        self.learnt = Learnt(dict(numbers), list(gaps), dict(categories), dict(ends or {}))
        self._statistics = np.array([*numbers.values()], "float64").reshape(-1, 3).T
        order = {name: place for place, name in enumerate(numbers)}
        self._gaps = np.array([order[name] for name in gaps], "int32")
        # Of each flag of a category: its column, its place there, its text.
        sizes = [len(known) for known in categories.values()]
        self._column = np.repeat(np.arange(len(sizes), dtype="int32"), sizes)
        self._place = np.concatenate([np.arange(size) for size in [*sizes, 0]]).astype("int32")
        self._text = np.array([text for known in categories.values() for text in known], object)

    @classmethod
    def adapted(cls, train: Examples) -> "PrepareColumns":
        """The layer of these training examples. Raises DataError where it would give nothing."""
        found = _learnt(train)
        return cls(found.numbers, found.gaps, found.categories, found.ends)

    @property
    def numbers(self) -> dict[str, list[float]]:
        """By column of numbers its median, mean and standard deviation."""
        return self.learnt.numbers

    @property
    def gaps(self) -> list[str]:
        """The number columns that had missing cells in training."""
        return self.learnt.gaps

    @property
    def categories(self) -> dict[str, list[str]]:
        """By column of texts its categories."""
        return self.learnt.categories

    @property
    def ends(self) -> dict[str, list[float]]:
        """By column of numbers between which values it is usual to ask."""
        return self.learnt.ends

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Two matrices -> numbers and flags."""
        numbers = inputs["numbers"]
        flags = tf.concat([self._is_missing(numbers), self._is_each(inputs["texts"])], 1)
        median, mean, scale = (tf.constant(row, numbers.dtype) for row in self._statistics)
        filled = tf.where(tf.math.is_nan(numbers), median, numbers)
        return {
            "numbers": tf.cast((filled - mean) / scale, "float32"),
            "flags": tf.cast(flags, "float32"),
        }

    def _is_missing(self, numbers: Any) -> Any:
        return tf.math.is_nan(tf.gather(numbers, self._gaps, axis=1))

    def _is_each(self, texts: Any) -> Any:
        """Texts, or places among the categories, [batch, m] -> bool [batch, categories]."""
        known = tf.constant(self._place)
        if texts.dtype == tf.string:
            known = tf.strings.to_hash_bucket_fast(tf.constant(self._text, tf.string), BUCKETS)
            texts = tf.strings.to_hash_bucket_fast(texts, BUCKETS)
        return tf.gather(texts, self._column, axis=1) == known

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
        batch, _ = inputs["numbers"].shape
        return {
            name: keras.KerasTensor((batch, width), "float32")
            for name, width in self.widths.items()
        }

    @property
    def widths(self) -> dict[str, int]:
        """Columns of `numbers` and of `flags`."""
        return {"numbers": len(self.numbers), "flags": len(self.gaps) + len(self._text)}

    @property
    def origins(self) -> list[str]:
        """The column from which each number, and then each flag, is made."""
        texts = [*self.categories]
        return [*self.numbers, *self.gaps, *(texts[place] for place in self._column)]

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        own = {"numbers": self.numbers, "gaps": self.gaps, "categories": self.categories}
        own |= {"ends": self.ends}
        return super().get_config() | own


def offset(mean: float, scale: float) -> float:
    """What to subtract from numbers of this mean and deviation before they become float32."""
    return mean if abs(mean) > FAR * scale else 0.0


def ends_of(column: np.ndarray) -> list[float]:
    """The 1st and the 99th percentile of what is known; where these are one, least and most.

    None of them is a number that nobody saw: between 1870 and 2010 no year is 2031.
    """
    known = column[np.isfinite(column)].astype("float64")
    if not len(known):
        return [0.0, 0.0]
    low, high = np.percentile(known, [1, 99], method="nearest")
    return [float(low), float(high)] if low < high else [float(known.min()), float(known.max())]


def stacked(columns: Mapping[str, Any], kinds: Kinds, texts_as: str = "string") -> dict[str, Any]:
    """Tensors [batch] by name, as requests bring them, as the matrices that the layer takes.

    `texts_as` is the type of texts: string, or int32 where they come as places.
    """
    length = tf.shape(next(iter(columns.values())))[:1]
    nothing = tf.concat([length, [0]], 0)
    numbers, texts = (
        [columns[name] for name in of_kind(kinds, kind)] for kind in ("number", "category")
    )
    return {
        "numbers": tf.stack(numbers, 1) if numbers else tf.zeros(nothing),
        "texts": tf.stack(texts, 1) if texts else tf.zeros(nothing, texts_as),
    }


@functools.lru_cache(maxsize=1)
def _learnt(train: Examples) -> Learnt:
    """Of these training examples; a network and its baselines ask one after the other."""
    numbers, gaps = dict[str, list[float]](), list[str]()
    categories, ends = dict[str, list[str]](), dict[str, list[float]]()
    for name, stored in train.columns.items():
        column = stored[train.rows]
        if column.dtype == object:
            categories[name] = _vocabulary(column)
            continue
        numbers[name], ends[name] = _statistics(column), ends_of(column)
        if np.isnan(column).any():
            gaps.append(name)
    if not numbers and not any(categories.values()):
        raise DataError(
            f"Received columns of categories ({listed(categories)}) of which none has "
            f"{MIN_CATEGORY_EXAMPLES} training examples, so that nothing can be learnt; expected "
            "fewer, wider categories, or columns of numbers. Add examples, or correct the cells."
        )
    return Learnt(numbers, gaps, categories, ends)


def _statistics(column: np.ndarray) -> list[float]:
    known = column[~np.isnan(column)].astype("float64")
    if not len(known):
        return [0.0, 0.0, 1.0]
    median = float(np.median(known))
    filled = np.where(np.isnan(column), median, column).astype("float64")
    # Squares of the largest numbers are none.
    unit = max(1.0, float(np.abs(filled).max()) / 1e100)
    mean, scale = unit * (filled / unit).mean(), unit * (filled / unit).std()
    return [median, float(mean), float(scale) or 1.0]


def _vocabulary(column: np.ndarray) -> list[str]:
    """The categories that are not rare, frequent ones first."""
    counts = sorted(Counter(column.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
    known = [text for text, count in counts if count >= MIN_CATEGORY_EXAMPLES]
    return [text.decode("utf-8", "replace") for text in known[:LARGEST_VOCABULARY]]
