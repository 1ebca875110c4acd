"""Read the column of example weights: `--weight COL`."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.examples import AddressError, DataError
from pipelines.rows.column_kinds import cell_text
from pipelines.rows.column_names import find_column
from pipelines.tables import cell_formats
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.format_inference import InferredFormat, infer_format
from pipelines.tables.table import Table, Tables, listed

FLAG = "--weight"


class WeightColumn(NamedTuple):
    """The weight of each row in training and scores; rows of weight 0 are left out.

    Attributes:
        name: of the column; "" if there is none, and all rows count the same.
        form: how its cells are read.

    """

    name: str
    form: CellFormat

    @classmethod
    def of(
        cls, tables: Tables, name: str, target: str, inferred: dict[str, InferredFormat]
    ) -> "WeightColumn":
        """Find the column in all tables.

        Raises AddressError if a table has no such column, DataError if it is the target, if a cell
        is no number of 0 or more, or if all weights of a table are 0.
        """
        if not name:
            return cls("", CellFormat("number"))
        name = find_column(name, tables.train, FLAG)
        if name == target:
            raise DataError(
                f"Received {FLAG} {name}, the target; expected another column. Name the column of "
                "the weights."
            )
        form = inferred[name].form
        if form.is_text:  # as a feature, at the user's request
            form = infer_format(tables.train.columns[name]).form
        column = cls(name, form if form.kind == "number" else CellFormat("number"))
        names = ("training", "validation", "test")
        for split, table in zip(names, (tables.train, tables.valid, tables.test), strict=True):
            if table is not None:
                column._require_valid(table, split)
        return column

    def of_table(self, table: Table) -> np.ndarray | None:
        """Return the weight of each row of a table; None if all count the same."""
        return self._read(table) if self.name else None

    def _read(self, table: Table) -> np.ndarray:
        return cell_formats.parse_numbers(table.columns[self.name], self.form)

    def _require_valid(self, table: Table, split: str) -> None:
        if self.name not in table.columns:
            raise AddressError(
                f"Received {FLAG} {self.name!r} and {split} data with the columns "
                f"{listed(table.columns)}; expected this column in them too. Add it."
            )
        weights = self._read(table)
        wrong = np.flatnonzero(~(weights >= 0))
        if len(wrong):
            row = int(wrong[0])
            cell = cell_text(table.columns[self.name][row])
            more = f", and {len(wrong) - 1:,} more such cells" * (len(wrong) > 1)
            raise DataError(
                f"Received {FLAG} {self.name}, a column with {cell!r} in {table.where(row)}{more}; "
                "expected a number of 0 or more in every row. Correct the cells: 0 leaves a row "
                "out, 1 counts it once."
            )
        if not weights.any():
            raise DataError(
                f"Received {FLAG} {self.name}, a column of which all {len(weights):,} {split} "
                "weights are 0; expected some above 0, because rows of weight 0 are left out. "
                f"Correct them, or leave {FLAG} out."
            )

    def num_zero(self, tables: Tables) -> int:
        """Return the number of rows of weight 0 in all tables."""
        if not self.name:
            return 0
        return sum(tables.each(lambda table: int((self._read(table) == 0).sum()), 0))

    def notes(self, tables: Tables) -> Iterator[str]:
        """Yield a note on the column, and on the number of rows of weight 0."""
        if self.name:
            count = self.num_zero(tables)
            left_out = f"; {count} row{'s' * (count != 1)} of weight 0 left out" * bool(count)
            yield f"column {self.name} weighs rows in training and scores, no feature{left_out}"
