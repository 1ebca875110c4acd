"""The rows of a CSV file, and what the user should know about its lines."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.tables.cells import Cells

MAX_LISTED_LINES = 5
MAX_SHOWN_CHARACTERS = 60  # of a line in a message
MIN_NOTED_CELL_LINES = 10  # a cell of this many lines gets a note
# A quoted cell of this many lines that all look like rows has lost its closing quote.
MIN_SWALLOWED_LINES = 3


class BrokenLine(NamedTuple):
    """A line that has not as many cells as the column names."""

    line: int
    num_cells: int
    text: str


class LongestRow(NamedTuple):
    """The first of the rows that take most lines."""

    num_lines: int = 1
    first_line: int = 0


class ParsedCsv(NamedTuple):
    """The rows of a CSV file.

    Attributes:
        header: the cells of the line of column names.
        columns: the cells of each column.
        lines: the line of the file in which each row ends.
        broken: the lines that are left out.
        longest: the row that takes most lines.
        unmatched_quotes: lines with a cell whose opening quote has no closing quote.

    """

    header: list[str]
    columns: list[Cells]
    lines: np.ndarray
    broken: Sequence[BrokenLine] = ()
    longest: LongestRow = LongestRow()
    unmatched_quotes: Sequence[int] = ()

    def require_rows(self, name: str, separator: str) -> None:
        """Raise DataError if the file `name` has no usable row."""
        if len(self.lines):
            return
        if not self.broken:
            raise no_rows_error(name)
        raise DataError(
            f"Received {name!r}, where none of the {len(self.broken)} lines below the column "
            f"names has {len(self.columns)} cells, as the names have: {_locations(self.broken)}, "
            f"as {self.broken[0].text[:MAX_SHOWN_CHARACTERS]!r}; expected rows like the names "
            f"{separator.join(self.header)[:MAX_SHOWN_CHARACTERS]!r}. Remove what is above the "
            "names, or correct the separators."
        )

    def notes(self, name: str, renamed: Sequence[str]) -> list[str]:
        """Return lines for the user about the file `name`; `renamed` are those about names."""
        notes = []
        if count := len(self.unmatched_quotes):
            shown = (f"line {line}" for line in self.unmatched_quotes[:MAX_LISTED_LINES])
            notes.append(
                f"{name}: {count} opening quote{'s' * (count > 1)} without a closing quote, read "
                f"as part of the cell: {_shortened(shown, count)}"
            )
        if self.broken:
            notes.append(
                f"{name}: {len(self.broken)} lines left out, not of {len(self.columns)} cells: "
                f"{_locations(self.broken)}"
            )
        notes += [f"{name}: {note}" for note in renamed]
        if self.longest.num_lines >= MIN_NOTED_CELL_LINES:
            notes.append(
                f"{name}: a quoted cell from line {self.longest.first_line} on has "
                f"{self.longest.num_lines} lines"
            )
        return notes


def is_row(cells: Sequence[str]) -> bool:
    """Whether any cell has a text."""
    return bool(cells) and (bool(cells[0].strip()) or any(map(str.strip, cells)))


def swallows_rows(cells: Sequence[str], separator: str, width: int) -> bool:
    """Whether every line of a multi-line row looks like a row of `width` cells itself."""
    lines = separator.join(cells).split("\n")
    return width > 1 and all(line.count(separator) == width - 1 for line in lines)


def empty_error(name: str) -> DataError:
    """Return the error for a file without column names."""
    return DataError(f"Received {name!r}, which is empty; expected a line of column names.")


def no_rows_error(name: str) -> DataError:
    """Return the error for a file without rows."""
    return DataError(f"Received {name!r} without rows; expected some below the column names.")


def _locations(broken: Sequence[BrokenLine]) -> str:
    shown = (f"line {line} has {count} cells" for line, count, _ in broken[:MAX_LISTED_LINES])
    return _shortened(shown, len(broken))


def _shortened(shown: Iterable[str], count: int) -> str:
    return ", ".join(shown) + ", ..." * (count > MAX_LISTED_LINES)
