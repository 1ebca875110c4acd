"""Read CSV files whose quotes pair, by Arrow: fast and on all cores.

Files with other quotes have to be read by `irregular_csv`.
"""

import contextlib
import csv
import functools
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from pipelines.tables.blanks import stripped
from pipelines.tables.cells import map_columns
from pipelines.tables.column_store import ColumnStore
from pipelines.tables.csv_blocks import RETURN, Block, IrregularError, blocks
from pipelines.tables.parsed_csv import (
    MIN_SWALLOWED_LINES,
    BrokenLine,
    LongestRow,
    ParsedCsv,
    empty_error,
    is_row,
    swallows_rows,
)
from pipelines.tables.separators import Layout
from pipelines.tables.text_files import TextFile

BYTES_PER_THREAD = 2**20  # that a thread parses at a time
MAX_CELL_CHARACTERS = 2**27  # the csv module's default is 131,072


def parse(file: TextFile, layout: Layout) -> ParsedCsv:
    """Read the column names and all rows.

    Raises DataError if there are no column names, and IrregularError if quotes do not pair.
    """
    separator = layout.separator.encode()
    if len(separator) > 1 or separator in b'" \r\n':
        raise IrregularError
    header, line, size = _header(file, layout)
    schema = pa.schema((str(index), pa.binary()) for index in range(len(header)))
    with file.utf8() as content, contextlib.closing(ColumnStore(schema)) as store:
        rows = _Collector(store, layout.separator, line)
        content.read(size)
        report_progress = file.progress()
        for block in blocks(content, separator):
            rows.add(block)
            report_progress()
        return rows.parsed(header)


def _header(file: TextFile, layout: Layout) -> tuple[list[str], int, int]:
    """Return the column names, the line in which they end, and the number of bytes until then."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    num_bytes = 0

    def counted(lines: Iterable[str]) -> Iterator[str]:
        nonlocal num_bytes
        for line in lines:
            num_bytes += len(line.encode())
            yield line

    with file.lines() as text:
        lines = itertools.islice(counted(text), layout.num_skipped, None)
        rows = _rows(lines, layout.separator)
        try:
            header = next(filter(is_row, rows), None)
        except csv.Error as error:
            raise IrregularError from error
    if header is None:
        raise empty_error(file.name)
    names = layout.complete_header([cell.strip() for cell in header])
    return names, layout.num_skipped + rows.line_num, num_bytes


def _rows(lines: Iterable[str], separator: str) -> Any:
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)


class _Collector:
    """Collects the rows of blocks.

    Args:
        store: stores the columns.
        separator: the character between cells.
        line: the line in which the column names end.

    """

    def __init__(self, store: ColumnStore, separator: str, line: int) -> None:
        self._store, self._separator, self._line = store, separator, line
        self._width, self._lines = len(store.schema), [np.empty(0, "int64")]
        self._broken, self._longest = list[BrokenLine](), LongestRow()

    def add(self, block: Block) -> None:
        """Add the rows of a block."""
        invalid = list[arrow_csv.InvalidRow]()
        try:
            table = self._read(block, use_threads=True, block_size=BYTES_PER_THREAD)
        except pa.ArrowInvalid:  # a row is broken, or longer than a thread's part
            table = self._read(
                block,
                use_threads=False,
                block_size=len(block.content) + 1,
                on_invalid=invalid.append,
            )
        lines = self._lines_of(block, table.num_rows + len(invalid))
        for row in invalid:
            (cells,) = _rows(io.StringIO(row.text, newline=""), self._separator)
            if is_row(cells):
                text, line = self._separator.join(cells), int(lines[row.number - 1])
                self._broken.append(BrokenLine(line, len(cells), text))
        self._store.add(table)
        self._lines.append(np.delete(lines, [row.number - 1 for row in invalid]))

    def _read(
        self,
        block: Block,
        *,
        use_threads: bool,
        block_size: int,
        on_invalid: Callable[[arrow_csv.InvalidRow], None] | None = None,
    ) -> pa.Table:
        """Read a block; pass rows with another number of cells to a function, or raise."""

        def skip(row: arrow_csv.InvalidRow) -> str:
            if on_invalid is None:
                return "error"
            on_invalid(row)
            return "skip"

        names = self._store.schema.names
        return arrow_csv.read_csv(
            pa.BufferReader(pa.py_buffer(block.content)),
            arrow_csv.ReadOptions(
                use_threads=use_threads, block_size=block_size, column_names=names
            ),
            arrow_csv.ParseOptions(
                delimiter=self._separator,
                newlines_in_values=block.is_multiline(),
                invalid_row_handler=skip,
            ),
            arrow_csv.ConvertOptions(
                check_utf8=False,
                column_types=self._store.schema,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def _lines_of(self, block: Block, num_rows: int) -> np.ndarray:
        """Return the line in which each row of a block ends; Arrow leaves out empty lines."""
        before, num_lines = self._line, block.num_lines()
        self._line += num_lines
        if num_lines == num_rows:
            return np.arange(before, self._line) + 1
        ends = block.line_ends()
        are_rows = block.are_outside(ends)
        lines, ends = before + 1 + np.flatnonzero(are_rows), ends[are_rows]
        starts = np.r_[0, ends[:-1] + 1]
        self._check_heights(block.content, starts, ends, lines, before)
        are_filled = ends - (block.content[ends - 1] == RETURN) > starts
        if np.count_nonzero(are_filled) != num_rows:
            raise IrregularError
        return lines[are_filled]

    def _check_heights(
        self,
        content: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        lines: np.ndarray,
        before: int,
    ) -> None:
        """Note the row of most lines. Raises IrregularError for a cell that has swallowed rows."""
        heights = np.diff(lines, prepend=before)
        highest = int(heights.argmax())
        if heights[highest] > self._longest.num_lines:
            height = int(heights[highest])
            self._longest = LongestRow(height, int(lines[highest]) - height + 1)
        for row in np.flatnonzero(heights >= MIN_SWALLOWED_LINES):
            text = content[starts[row] : ends[row]].tobytes().decode()
            (cells,) = _rows(io.StringIO(text, newline=""), self._separator)
            if swallows_rows(cells, self._separator, self._width):
                raise IrregularError

    def parsed(self, header: list[str]) -> ParsedCsv:
        """Return all rows in which a cell has a text."""
        lines = np.concatenate(self._lines)
        columns = [*map_columns(stripped, self._store.table().columns)]
        if all(column.array.null_count for column in columns):
            empty = functools.reduce(pc.and_, (column.array.is_null() for column in columns))
            rows = np.flatnonzero(~np.asarray(empty))
            if len(rows) < len(lines):
                columns, lines = [column.take(rows) for column in columns], lines[rows]
        return ParsedCsv(header, columns, lines, self._broken, self._longest)
