"""The column to predict: numbers, or classes."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.labels import Labels, labels_of
from pipelines.rows.column_kinds import column_of, decoded, texts
from pipelines.rows.column_names import find
from pipelines.tables import values
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import is_missing
from pipelines.tables.table import Table, Tables
from pipelines.tables.values import Form, Judged

Task = Literal["auto", "regression", "binary", "multiclass"]


class Answers(NamedTuple):
    """How a target column becomes float64 numbers, or int64 classes (-1: missing)."""

    name: str
    form: Form
    labels: Labels | None
    said: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return () if self.labels is None else self.labels.names

    @classmethod
    def of(cls, tables: Tables, name: str, judged: Judged, task: Task) -> "Answers":
        """Judged by the training table; classes that only another table has count too."""
        cells = tables.train.columns[name]
        column = column_of(cells, judged)
        number = judged.form.kind != "category"
        few = _distinct(cells, judged.form)
        if not few:
            raise DataError(f"Received the target {name!r} without a known cell; expected some.")
        require(few > 1, name, "a single class or value", "several")
        if task == "auto":
            task = "regression" if number and few != 2 else "multiclass"
        if task == "regression":
            require(
                number, name, f"{column.said} such as {_example(cells)}", "numbers such as 12.5"
            )
            return cls(name, judged.form, None, column.said)
        labels = _labels(tables, name)
        count = len(labels.names)
        counts = f"{count} classes"
        require(count > 1, name, "a single class", "at least two")
        require(task == "multiclass" or count == 2, name, counts, "two for --task binary")
        few_rows = f"{counts} such as {_example(cells)}"
        require(
            count <= len(cells) / 2,
            name,
            few_rows,
            "two rows of each or more, or numbers such as 12.5",
        )
        merged = "".join(f"; {note}" for note in labels.notes)
        return cls(name, judged.form, labels, counts + labels.said_missing() + merged)

    def of_table(self, table: Table) -> np.ndarray:
        """The targets of all rows."""
        column = table.columns[find(self.name, table, "--target")]
        if self.labels is None:
            return values.numbers(column, self.form)
        return self.labels.numbers(_named(column, table.labels.get(self.name, ())))


def _distinct(cells: AnyCells, form: Form) -> int:
    """How many different values are known."""
    if form.kind == "category":
        return sum(not is_missing(cell) for cell in set(cells.tolist()))
    read = values.numbers(cells, form)
    return len(np.unique(read[~np.isnan(read)]))


def _example(cells: AnyCells) -> str:
    return repr(next((decoded(cell) for cell in cells if not is_missing(cell)), ""))


def _labels(tables: Tables, name: str) -> Labels:
    """The classes in all tables."""
    parts = tables.each(
        lambda table: _named(
            table.columns[find(name, table, "--target")], table.labels.get(name, ())
        )
    )
    return labels_of(part for part in parts if part is not None)


def _named(column: AnyCells, labels: Sequence[str]) -> AnyCells:
    """Class numbers by their names; other columns as they are."""
    return texts(column, labels) if labels else column


def require(holds: bool, name: str, received: str, expected: str) -> None:
    """Raise DataError unless a target can be what it is asked for."""
    if not holds:
        raise DataError(
            f"Received the target {name!r} with {received}; expected {expected}. "
            "Choose another --target or --task."
        )
