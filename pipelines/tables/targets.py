"""Read the target column: numbers or classes."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.labels import Labels, find_labels
from pipelines.rows.column_kinds import cell_text, describe_column, parse_texts
from pipelines.rows.column_names import find_column
from pipelines.tables import cell_formats
from pipelines.tables import cells as raw
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cells import AnyCells
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.missing import is_missing
from pipelines.tables.table import Table, Tables

Task = Literal["auto", "regression", "binary", "multiclass"]


class TargetColumn(NamedTuple):
    """Converts a target column to float64 numbers, or to int64 class numbers (-1: missing)."""

    name: str
    form: CellFormat
    labels: Labels | None
    description: str

    @property
    def names(self) -> tuple[str, ...]:
        """The class names; empty for numbers."""
        return () if self.labels is None else self.labels.names

    @classmethod
    def of(cls, tables: Tables, name: str, inferred: InferredFormat, task: Task) -> "TargetColumn":
        """Choose the task from the training table; classes of the other tables count too."""
        cells = tables.train.columns[name]
        column = describe_column(cells, inferred)
        number = not inferred.form.is_text
        num_distinct = _count_distinct(cells, inferred.form)
        if not num_distinct:
            raise DataError(f"Received the target {name!r} without a known cell; expected some.")
        require_target(num_distinct > 1, name, "a single class or value", "several")
        if task == "auto":
            task = "regression" if number and num_distinct != 2 else "multiclass"
        if task == "regression":
            require_target(
                number,
                name,
                f"{column.description} such as {_example(cells)}",
                "numbers such as 12.5",
            )
            return cls(name, inferred.form, None, column.description)
        labels = _labels(tables, name)
        count = len(labels.names)
        counts = f"{count} classes"
        require_target(count > 1, name, "a single class", "at least two")
        require_target(task == "multiclass" or count == 2, name, counts, "two for --task binary")
        few_rows = f"{counts} such as {_example(cells)}"
        require_target(
            count <= len(cells) / 2,
            name,
            few_rows,
            "two rows of each or more, or numbers such as 12.5",
        )
        merged = "".join(f"; {note}" for note in labels.notes)
        return cls(name, inferred.form, labels, counts + labels.missing_words_note() + merged)

    def of_table(self, table: Table) -> np.ndarray:
        """Return the targets of all rows of a table."""
        column = table.columns[find_column(self.name, table, "--target")]
        if self.labels is None:
            return cell_formats.parse_numbers(column, self.form)
        return self.labels.numbers(_with_class_names(column, table.labels.get(self.name, ())))


def _count_distinct(cells: AnyCells, form: CellFormat) -> int:
    """Count the distinct known values, up to three."""
    if form.is_text and cells.dtype == object:
        return sum(not is_missing(cell) for cell in raw.distinct_of(cells).values)
    values, count = cell_formats.parse_numbers(cells, form), 0
    values = values[~np.isnan(values)]
    while len(values) and count < 3:
        values, count = values[values != values[0]], count + 1
    return count


def _example(cells: AnyCells) -> str:
    return repr(next((cell_text(cell) for cell in cells if not is_missing(cell)), ""))


def _labels(tables: Tables, name: str) -> Labels:
    """Find the classes of all tables."""
    parts = tables.each(
        lambda table: _with_class_names(
            table.columns[find_column(name, table, "--target")], table.labels.get(name, ())
        )
    )
    return find_labels(part for part in parts if part is not None)


def _with_class_names(column: AnyCells, labels: Sequence[str]) -> AnyCells:
    """Replace class numbers by their names; other columns stay as they are."""
    return parse_texts(column, CellFormat("category"), labels).cells() if labels else column


def require_target(condition: bool, name: str, received: str, expected: str) -> None:
    """Raise DataError unless a condition on the target holds."""
    if not condition:
        raise DataError(
            f"Received the target {name!r} with {received}; expected {expected}. "
            "Choose another --target or --task."
        )
