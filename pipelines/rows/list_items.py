"""A layer that turns lists in a cell into a flag for each frequent item, and their number."""

from typing import Any

import keras
import tensorflow as tf

from pipelines.rows.encoders import ColumnEncoder, Numbering
from pipelines.tables.list_forms import BRACKETS, SURROUNDINGS, ListForm


@keras.saving.register_keras_serializable("athanor")
class ListItems(ColumnEncoder):
    """A flag for each known item of a list, and the number of its items.

    Args:
        column: name of the column.
        items: with a flag of their own.
        form: fields of a `ListForm`.

    """

    def __init__(self, column: str, items: list[str], form: list[Any], **kwargs: Any) -> None:
        super().__init__(column, 1, **kwargs)
        self.items, self.form = tuple(items), ListForm(*form)
        self.numbering = Numbering(self.items)

    @property
    def known(self) -> list[str]:
        """The items."""
        return list(self.items)

    @property
    def sidecar(self) -> dict[str, Any]:
        """The items, and how to find them in a text."""
        separator, is_bracketed = self.form
        return {"items": self.known, "separator": separator, "bracketed": is_bracketed}

    @property
    def sidecar_width(self) -> int:
        """A flag for each item, and their number."""
        return len(self.items) + 1

    @property
    def num_flags(self) -> int:
        """Number of items."""
        return len(self.items)

    def _split(self, texts: Any) -> tf.RaggedTensor:
        """Split strings [batch] into items [batch, (items)], of which some may be empty."""
        if self.form.is_bracketed:
            texts = tf.strings.regex_replace(texts, BRACKETS, "")
        items = tf.strings.split(texts, self.form.separator)
        return items.with_values(tf.strings.regex_replace(items.values, SURROUNDINGS, ""))

    def encode(self, cells: Any, folds: Any) -> Any:  # noqa: ARG002
        """Count the items of each list; int32 cells hold flags and then the count."""
        if cells.dtype != tf.string:
            return tf.cast(cells[:, -1:], "float32")
        items = self._split(cells)
        is_item = tf.cast(items.values != "", "float32")
        counts = tf.math.unsorted_segment_sum(is_item, items.value_rowids(), items.nrows())
        return counts[:, None]

    def flags(self, cells: Any) -> Any:
        """Flag the items of each list."""
        if cells.dtype != tf.string:
            return tf.cast(cells[:, :-1], "float32")
        items = self._split(cells)
        numbers = tf.cast(self.numbering.numbers(items.values), "int64")
        places = tf.stack([items.value_rowids(), numbers], 1)
        places = tf.boolean_mask(places, numbers >= 0)
        shape = tf.stack([items.nrows(), tf.constant(len(self.items), "int64")])
        occurrences = tf.scatter_nd(places, tf.ones_like(places[:, 0], "float32"), shape)
        return tf.minimum(occurrences, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        own = {"column": self.column, "items": self.known, "form": list(self.form)}
        return super().get_config() | own
