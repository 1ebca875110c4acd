"""The row preprocessing layer: raw columns to standardised numbers and category flags."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import Examples
from pipelines.rows.column_statistics import (
    ColumnStatistics,
    column_statistics,
    learn_statistics,
)
from pipelines.rows.encoder_fits import fit_content_encoders
from pipelines.rows.encoders import FROZEN, ColumnEncoder
from pipelines.rows.packing import DTYPES, MATRICES, Kinds, Matrix, of_matrix
from pipelines.rows.time_cycles import NUMBERS_PER_CYCLE, Cycle, cycle_numbers

MAX_MEAN_TO_DEVIATION = 1000  # above this ratio float32 loses the digits of differences
NUM_HASH_BUCKETS = 2**62  # enough that texts do not collide


@keras.saving.register_keras_serializable("athanor")
class PrepareColumns(keras.layers.Layer):
    """Turn raw columns into network inputs, with statistics of the training examples.

    Inputs are `numbers` [batch, n] (NaN: missing) and `texts` [batch, m], with columns in the
    order of the arguments. Outputs are `numbers` float32 [batch, n], standardised, with the
    median in place of missing ones, and then those of cycles and encoders; and `flags` [batch,
    flags] of 0 or 1: one for each number column with missing cells in training, one for each
    category of a text column, and those of the encoders. Unknown and rare categories have no
    flag. A missing text is an ordinary category. Training examples have also
    `folds` [batch]: their target statistics are those of the other folds.

    Numbers are centred in their own precision, float64 in training, since float32 holds a date in
    seconds only to within minutes. Texts may also be int32: indices into the categories of their
    column, -1 for others.

    Args:
        numbers: median, mean and standard deviation of each number column.
        gaps: number columns that had missing cells in training.
        categories: the categories of each text column.
        ends: the usual range of each number column, see `usual_range`; None in older layers.
        encoders: layers of columns of free text, lists or many categories.
        cycles: column, period and shift of each recurring part of a time.

    """

    def __init__(
        self,
        numbers: dict[str, list[float]],
        gaps: list[str],
        categories: dict[str, list[str]],
        ends: dict[str, list[float]] | None = None,
        encoders: Sequence[ColumnEncoder] = (),
        cycles: Sequence[Sequence[Any]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**FROZEN | kwargs)
        self.statistics = ColumnStatistics(
            dict(numbers),
            list(gaps),
            dict(categories),
            dict(ends or {}),
            [],
            [Cycle(*cycle) for cycle in cycles],
        )
        self.encoders = tuple(encoders)
        for encoder in self.encoders:
            if not encoder.built:
                encoder.build()
        self._statistics = np.array([*numbers.values()], "float64").reshape(-1, 3).T
        order = {name: index for index, name in enumerate(numbers)}
        self._gaps = np.array([order[name] for name in gaps], "int32")
        self._cycle_columns = [order[cycle.column] for cycle in self.cycles]
        # For each category flag: its column, its index in that column, its text.
        sizes = [len(texts) for texts in categories.values()]
        self._column = np.repeat(np.arange(len(sizes), dtype="int32"), sizes)
        self._category = np.concatenate([np.arange(size) for size in [*sizes, 0]]).astype("int32")
        self._text = np.array([text for texts in categories.values() for text in texts], object)

    @classmethod
    def adapted(cls, train: Examples) -> "PrepareColumns":
        """Make the layer from training examples. Raises DataError if it would have no output."""
        return cls._of(learn_statistics(train))

    @classmethod
    def adapted_to_content(cls, examples: Examples) -> "PrepareColumns":
        """Make the layer from examples without a target. Raises DataError as `adapted`."""
        return cls._of(column_statistics(examples, fit_content_encoders(examples)))

    @classmethod
    def _of(cls, learned: ColumnStatistics) -> "PrepareColumns":
        encoders = [fitted.layer() for fitted in learned.encoders]
        return cls(
            learned.numbers,
            learned.gaps,
            learned.categories,
            learned.ends,
            encoders,
            learned.cycles,
        )

    @property
    def numbers(self) -> dict[str, list[float]]:
        """Median, mean and standard deviation of each number column."""
        return self.statistics.numbers

    @property
    def gaps(self) -> list[str]:
        """The number columns that had missing cells in training."""
        return self.statistics.gaps

    @property
    def categories(self) -> dict[str, list[str]]:
        """The categories of each text column."""
        return self.statistics.categories

    @property
    def known_texts(self) -> dict[str, list[str]]:
        """The texts of each text column that int32 numbers stand for."""
        known = {encoder.column: encoder.known for encoder in self.encoders}
        return {name: known.get(name) or texts for name, texts in self.categories.items()}

    @property
    def ends(self) -> dict[str, list[float]]:
        """The usual range of each number column."""
        return self.statistics.ends

    @property
    def cycles(self) -> list[Cycle]:
        """The recurring parts of times that are inputs of the network."""
        return self.statistics.cycles

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Turn the matrices `numbers` and `texts` into `numbers` and `flags`."""
        numbers = inputs["numbers"]
        flags = tf.concat([self._is_missing(numbers), self._category_flags(inputs["texts"])], 1)
        median, mean, scale = (tf.constant(row, numbers.dtype) for row in self._statistics)
        filled = tf.where(tf.math.is_nan(numbers), median, numbers)
        standardised = tf.cast((filled - mean) / scale, "float32")
        if self.cycles:
            recurring = cycle_numbers(filled, self._cycle_columns, self.cycles)
            standardised = tf.concat([standardised, recurring], 1)
        flags = tf.cast(flags, "float32")
        if not self.encoders:
            return {"numbers": standardised, "flags": flags}
        order = {name: index for index, name in enumerate(self.categories)}
        apart = inputs.get("encodable", {})
        cells = [
            apart.get(encoder.column, inputs["texts"][:, order[encoder.column]])
            for encoder in self.encoders
        ]
        pairs = [*zip(self.encoders, cells, strict=True)]
        encoded = [encoder(column, inputs.get("folds")) for encoder, column in pairs]
        flagged = [encoder.flags(column) for encoder, column in pairs if encoder.num_flags]
        return {
            "numbers": tf.concat([standardised, *encoded], 1),
            "flags": tf.concat([flags, *flagged], 1),
        }

    def _is_missing(self, numbers: Any) -> Any:
        return tf.math.is_nan(tf.gather(numbers, self._gaps, axis=1))

    def _category_flags(self, texts: Any) -> Any:
        """Compare texts or category indices [batch, m] with all categories [batch, categories]."""
        known = tf.constant(self._category)
        if texts.dtype == tf.string:
            with tf.init_scope():  # once, not in every batch
                known = tf.strings.to_hash_bucket_fast(
                    tf.constant(self._text, tf.string), NUM_HASH_BUCKETS
                ).numpy()
            texts = tf.strings.to_hash_bucket_fast(texts, NUM_HASH_BUCKETS)
        return tf.gather(texts, self._column, axis=1) == known

    def offsets(self) -> dict[str, float]:
        """Return what to subtract from each number column before the cast to float32; mostly 0."""
        offsets = {name: offset(mean, scale) for name, (_, mean, scale) in self.numbers.items()}
        # Whole days, so that float32 holds the time of day to within seconds.
        return offsets | {
            cycle.column: float(round(self.numbers[cycle.column][1])) for cycle in self.cycles
        }

    def shifted(self) -> "PrepareColumns":
        """Return the layer for numbers from which `offsets` are already subtracted."""
        offsets = self.offsets()
        numbers = {
            name: [median - offsets[name], mean - offsets[name], scale]
            for name, (median, mean, scale) in self.numbers.items()
        }
        encoders = [type(one).from_config(one.get_config()) for one in self.encoders]
        cycles = [cycle.minus(offsets[cycle.column]) for cycle in self.cycles]
        shifted = PrepareColumns(
            numbers, self.gaps, self.categories, None, encoders, cycles, name=self.name
        )
        shifted.set_weights(self.get_weights())
        return shifted

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the specs of `numbers` and `flags`."""
        batch, _ = inputs["numbers"].shape
        return {
            name: keras.KerasTensor((batch, width), "float32")
            for name, width in self.widths.items()
        }

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of `numbers` and of `flags`."""
        encoded = sum(encoder.width for encoder in self.encoders)
        flagged = sum(encoder.num_flags for encoder in self.encoders)
        return {
            "numbers": len(self.numbers) + NUMBERS_PER_CYCLE * len(self.cycles) + encoded,
            "flags": len(self.gaps) + len(self._text) + flagged,
        }

    @property
    def origins(self) -> list[str]:
        """The source column of each number, and then of each flag."""
        texts = [*self.categories]
        encoded = [encoder.column for encoder in self.encoders for _ in range(encoder.width)]
        flagged = [encoder.column for encoder in self.encoders for _ in range(encoder.num_flags)]
        categories = [texts[index] for index in self._column]
        recurring = [cycle.column for cycle in self.cycles] * NUMBERS_PER_CYCLE
        return [*self.numbers, *recurring, *encoded, *self.gaps, *categories, *flagged]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`."""
        own: dict[str, Any] = {
            "numbers": self.numbers,
            "gaps": self.gaps,
            "categories": self.categories,
        }
        own |= {"ends": self.ends, "cycles": [list(cycle) for cycle in self.cycles]}
        own["encoders"] = [keras.saving.serialize_keras_object(one) for one in self.encoders]
        return super().get_config() | own

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PrepareColumns":
        """Make the layer of a configuration; older ones have no encoders."""
        stored = config.get("encoders", [])
        return cls(
            **config | {"encoders": [keras.saving.deserialize_keras_object(o) for o in stored]}
        )


def offset(mean: float, scale: float) -> float:
    """Return what to subtract from numbers of this mean and deviation before a cast to float32."""
    return mean if abs(mean) > MAX_MEAN_TO_DEVIATION * scale else 0.0


def column_specs(kinds: Kinds) -> dict[str, Any]:
    """Return the spec of the cells [batch] of each column, by name."""
    return {
        name: tf.TensorSpec([None], DTYPES[MATRICES[kind]], name) for name, kind in kinds.items()
    }


def stack_columns(
    columns: Mapping[str, Any], kinds: Kinds, texts_as: str = "string"
) -> dict[str, Any]:
    """Stack tensors [batch] by name, as in a request, into the layer's input matrices.

    `texts_as` is the dtype of texts: string, or int32 for category indices. Then free texts and
    lists are matrices, which stay apart; see their encoders.
    """
    encodable = {name: column for name, column in columns.items() if len(column.shape) == 2}
    columns = {**columns, **{name: column[:, 0] for name, column in encodable.items()}}
    length = tf.shape(next(iter(columns.values())))[:1]
    no_columns = tf.concat([length, [0]], 0)
    matrices: tuple[Matrix, Matrix] = ("numbers", "texts")
    numbers, texts = ([columns[name] for name in of_matrix(kinds, matrix)] for matrix in matrices)
    return {
        "numbers": tf.stack(numbers, 1) if numbers else tf.zeros(no_columns),
        "texts": tf.stack(texts, 1) if texts else tf.zeros(no_columns, texts_as),
    } | ({"encodable": encodable} if encodable else {})
