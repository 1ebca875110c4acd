"""The table of columns: how each one is read and whether it is used, for `columns.csv`."""

import csv
import dataclasses
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipelines.examples import Examples
from pipelines.rows.column_kinds import (
    ColumnDescription,
    cell_text,
    describe_column,
    parse_texts,
)
from pipelines.rows.requested_kinds import COLUMN, DETAILS, KIND, KIND_NAMES
from pipelines.tables import cell_formats
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cells import AnyCells
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.kind_requests import details_of
from pipelines.tables.table import Table

HEADER = (COLUMN, KIND, DETAILS, "missing", "unreadable", "distinct", "example", "read_as", "used")
MAX_SEARCHED_CELLS = 200  # for an example
MAX_EXAMPLE_LENGTH = 60  # characters
# Reasons why a column is no feature although something could be learnt from it.
DROPPED, IGNORED, GROUP, TARGET = "--drop", "ignored, as requested", "--group", "target"
WEIGHT, OTHER_TARGET = "--weight", "another target"


class ColumnLine(NamedTuple):
    """A line of the table of columns.

    `name` is the column's name among the features, `unused_because` why it is none of them, or "".
    """

    name: str
    title: str
    kind: str
    details: str
    missing: int | None
    unreadable: int | None
    distinct: int | None
    example: str
    read_as: str
    unused_because: str


@dataclasses.dataclass(frozen=True)
class ColumnTable:
    """How each column of a table is read, and whether it is used.

    Attributes:
        lines: one for each column, in the order of the table.

    """

    lines: tuple[ColumnLine, ...]

    @classmethod
    def of(
        cls,
        table: Table,
        names: Mapping[str, str],
        inferred: Mapping[str, InferredFormat],
        features: Mapping[str, ColumnDescription],
        unused: Mapping[str, str],
    ) -> "ColumnTable":
        """Describe the columns of a table.

        Args:
            table: the training table.
            names: the new name of each column of the user's file.
            inferred: the format of each column.
            features: descriptions of the columns that are not named in `unused`.
            unused: why a column is no feature, by name.

        """
        others = {
            name: describe_column(table.columns[name], inferred[name])
            if reason == TARGET
            else ColumnDescription(inferred[name].form, "", reason, None, None)
            for name, reason in unused.items()
            if name
        }
        descriptions = {**features, **others}
        titles = {name: title for title, name in names.items()}
        return cls(
            tuple(
                _line(name, titles[name], cells, descriptions[name], unused.get(name, ""))
                for name, cells in table.columns.items()
            )
        )

    def csv(self, train: Examples) -> str:
        """Return the table as CSV; distinct numbers are counted in all stored examples."""
        output = io.StringIO()
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(HEADER)
        for line in self.lines:
            distinct = line.distinct
            if distinct is None and line.name in train.columns:
                column = train.columns[line.name]
                distinct = len(np.unique(column[np.isfinite(column)]))
            used = f"no: {line.unused_because}" if line.unused_because else "yes"
            _, *cells, _ = line._replace(distinct=distinct)
            writer.writerow("" if cell is None else cell for cell in (*cells, used))
        return output.getvalue()


def _line(
    name: str, title: str, cells: AnyCells, column: ColumnDescription, unused: str
) -> ColumnLine:
    form = column.form
    example, read_as = _example(cells, form)
    return ColumnLine(
        name,
        title,
        "ignore" if unused == IGNORED else kind_name(form),
        details_of(form.decimal, form.unit, form.order, form.plain_unit),
        column.missing,
        column.unreadable,
        column.distinct,
        example[:MAX_EXAMPLE_LENGTH],
        read_as[:MAX_EXAMPLE_LENGTH],
        unused or column.unusable_because,
    )


def kind_name(form: CellFormat) -> str:
    """Return the user's word for a kind."""
    return next(word for word, kind in KIND_NAMES.items() if kind == form.kind)


def _example(cells: AnyCells, form: CellFormat) -> tuple[str, str]:
    """Return a known cell and the value as which it is read."""
    sample = cells[:MAX_SEARCHED_CELLS]
    if form.is_text:
        texts = parse_texts(sample, form).cells().tolist()
        row = next((row for row, text in enumerate(texts) if text), None)
        return ("", "") if row is None else (cell_text(sample[row]), cell_text(texts[row]))
    values = cell_formats.parse_numbers(sample, form)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return "", ""
    return cell_text(sample[known[0]]), cell_formats.describe_value(values[known[0]], form)
