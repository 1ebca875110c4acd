"""Attributes of items, such as genre=Noir: the values by which lists are filtered."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.ids.contents import Content
from pipelines.rows.packing import Kinds, unpack_columns
from pipelines.tables.list_forms import ListForm

SEPARATOR = "="


class Attributes(NamedTuple):
    """The values of the columns of categories and lists.

    Attributes:
        names: column and value of each attribute, in the order of their numbers, from 1.
        forms: how the lists of each column are written; None for a column of single values.
        pairs: an item and an attribute that it has, both by number, int32 [m, 2].

    """

    names: tuple[tuple[str, str], ...]
    forms: Mapping[str, ListForm | None]
    pairs: np.ndarray

    @classmethod
    def of(cls, content: Content, numbers: np.ndarray) -> "Attributes":
        """Return the attributes in a table of items; `numbers` are those of its rows."""
        kinds = content.columns.kinds or {}
        forms = {
            name: ListForm.of(content.columns.columns[name]) if kind == "list" else None
            for name, kind in kinds.items()
            if kind in ("category", "list")
        }
        empty = cls((), forms, np.zeros((0, 2), "int32"))
        return empty.extended(content.columns.features, kinds, numbers)

    def extended(
        self, columns: Mapping[str, np.ndarray], kinds: Kinds, numbers: np.ndarray
    ) -> "Attributes":
        """Return the attributes together with those of other items, by their packed columns."""
        number_of = {name: number for number, name in enumerate(self.names, 1)}
        pairs = []
        for column, form in self.forms.items():
            cells = unpack_columns(columns, kinds)[column]
            for item, cell in zip(numbers.tolist(), cells.tolist(), strict=True):
                for value in _values(cell, form):
                    number = number_of.setdefault((column, value), len(number_of) + 1)
                    pairs.append((item, number))
        together = np.concatenate([self.pairs, np.array(pairs, "int32").reshape(-1, 2)])
        return self._replace(names=tuple(number_of), pairs=together)

    @property
    def columns(self) -> list[str]:
        """The distinct columns of the attributes."""
        return list(dict.fromkeys(column for column, _ in self.names))

    @property
    def texts(self) -> list[str]:
        """The attributes as requests name them."""
        return [f"{column}{SEPARATOR}{value}" for column, value in self.names]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads: all but the pairs."""
        forms = {name: form and list(form) for name, form in self.forms.items()}
        return {"names": [*map(list, self.names)], "forms": forms, "num_pairs": len(self.pairs)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Attributes":
        """Return the attributes with pairs of zeros."""
        forms = {name: form and ListForm(*form) for name, form in content["forms"].items()}
        pairs = np.zeros((content["num_pairs"], 2), "int32")
        return cls(tuple((column, value) for column, value in content["names"]), forms, pairs)


NO_ATTRIBUTES = Attributes((), {}, np.zeros((0, 2), "int32"))


def _values(cell: bytes, form: ListForm | None) -> Sequence[str]:
    """Return the distinct values in a cell."""
    values = form.split(cell) if form else [cell] if cell else []
    return list(dict.fromkeys(value.decode("utf-8", "surrogateescape") for value in values))
