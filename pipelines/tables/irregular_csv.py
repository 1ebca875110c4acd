"""Read CSV files with unbalanced quotes or other irregularities, line by line."""

import array
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.tables.cells import Cells
from pipelines.tables.parsed_csv import BrokenLine, LongestRow, ParsedCsv, empty_error, is_row
from pipelines.tables.separators import Layout
from pipelines.tables.text_files import CountedLines, TextFile
from pipelines.tables.unbalanced_quotes import TolerantReader

CHARACTERS_PER_PART = 2**20  # of a file that are packed into columns together


def parse(file: TextFile, layout: Layout) -> ParsedCsv:
    """Read the column names and all rows. Raises DataError if there are no column names."""
    with file.lines() as text:
        counted = CountedLines(text, layout.num_skipped)
        reader = TolerantReader(counted, layout.separator)
        remaining = iter(reader)
        header = next(filter(is_row, remaining), None)
        if header is None:
            raise empty_error(file.name)
        header = layout.complete_header([cell.strip() for cell in header])
        rows = RowCollector(len(header), layout.separator, reader.line_num)
        report_progress = file.progress()
        for cells in remaining:
            rows.add(cells, reader.line_num)
            if counted.num_characters >= CHARACTERS_PER_PART:
                counted.num_characters = 0
                rows.pack()
                report_progress()
    return rows.parsed(header)._replace(unmatched_quotes=reader.unmatched_quotes)


class RowCollector:
    """Collects rows of equal length and packs them into columns, part by part.

    Args:
        width: the number of cells of a row.
        separator: the character between cells.
        line: the line in which the column names end.

    """

    def __init__(self, width: int, separator: str, line: int) -> None:
        self._width, self._separator, self._last_line = width, separator, line
        self._lines, self._broken, self._longest = (
            array.array("q"),
            list[BrokenLine](),
            LongestRow(),
        )
        self._waiting = list[list[str]]()
        self._parts: list[list[pa.Array]] = [[] for _ in range(width)]

    def add(self, cells: list[str], line: int) -> None:
        """Add the next row, which ends at `line`."""
        if line - self._last_line > self._longest.num_lines:
            self._longest = LongestRow(line - self._last_line, self._last_line + 1)
        self._last_line = line
        if not is_row(cells):
            return
        if len(cells) == self._width:
            self._waiting.append(cells)
            self._lines.append(line)
        else:
            self._broken.append(BrokenLine(line, len(cells), self._separator.join(cells)))

    def pack(self) -> None:
        """Move the rows added since the last call into the columns."""
        columns = zip(*self._waiting, strict=True)
        for parts, cells in zip(self._parts, columns, strict=False):
            parts.append(_packed(cells))
        self._waiting = []

    def parsed(self, header: list[str]) -> ParsedCsv:
        """Return all rows."""
        self.pack()
        columns = [Cells(pa.chunked_array(parts, pa.binary())) for parts in self._parts]
        lines = np.array(self._lines, "int64")
        return ParsedCsv(header, columns, lines, self._broken, self._longest)


def _packed(cells: Sequence[str]) -> pa.Array:
    return pa.array([cell.strip() or None for cell in cells], pa.string()).view(pa.binary())
