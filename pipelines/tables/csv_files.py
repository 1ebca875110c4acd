"""Read CSV files of any encoding and separator, also with broken lines."""

import array
import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from pipelines.examples import DataError
from pipelines.inspection import Inspection
from pipelines.tables import separators, text_files
from pipelines.tables.cells import Cells, Packer
from pipelines.tables.separators import Layout
from pipelines.tables.table import Table, Tables, repeated
from pipelines.tables.text_files import CountedLines, TextFile
from pipelines.tables.unbalanced_quotes import TolerantReader

MAX_CELL_CHARACTERS = 2**27  # the csv module's default is 131,072
MAX_LISTED_LINES = 5
MAX_SHOWN_CHARACTERS = 60  # of a line in a message
CHARACTERS_PER_PART = 2**20  # of a file that are packed into columns together
# A quoted cell of this many lines that all look like rows has lost its closing quote.
MIN_SWALLOWED_LINES = 3
MIN_NOTED_CELL_LINES = 10  # a cell of this many lines gets a note


class ParsedFile(NamedTuple):
    """The columns of a file and what reading left out.

    Attributes:
        columns: the cells of each column by its name.
        lines: the line of the file in which each row ends.
        broken: line number and number of cells of the lines that are left out.
        notes: lines for the user.
        separator: the character between cells.

    """

    columns: dict[str, Cells]
    lines: np.ndarray
    broken: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()
    separator: str = ","


class Reader(Protocol):
    """An iterator over rows of cells that knows the number of the line it read last."""

    @property
    def line_num(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[list[str]]: ...


class UnbalancedQuotesError(Exception):
    """A quoted cell contains lines that are rows themselves."""


def read(name: str, inspection: Inspection | None = None) -> Tables:
    """Read the rows of a CSV file whose first line names the columns.

    The file may be compressed and in any common encoding (see `text_files`). Cells are stripped
    of surrounding blanks. The separator is the one with which most rows have as many cells as
    the first line, or the one that a line `sep=;` names. A quote without a closing quote is an
    ordinary character. Blank lines are skipped; lines with another number of cells are left out
    and listed in the notes. Raises DataError if the file holds no table. The file is read from
    the disk several times, and is never in memory as a whole.
    """
    with text_files.opened(name, inspection) as file:
        return read_open(file)


def read_open(file: TextFile) -> Tables:
    """Read the rows of an open file, as `read` does."""
    parsed = _parse(file)
    if not len(parsed.lines):
        raise _no_rows_error(file)
    table = Table(
        dict(parsed.columns),
        name=file.name,
        lines=parsed.lines,
        broken=parsed.broken,
        separator=parsed.separator,
    )
    return Tables(table, notes=(*file.notes, *parsed.notes))


def headers(name: str) -> Iterator[Table]:
    """Yield a table without rows for each way to read the column names of a file.

    If the beginning of the file is ASCII, only the beginning is read. Raises DataError as `read`
    does.
    """
    with text_files.opened(name) as file:
        layout = separators.layout(file)
        first_rows = [
            _first_two_rows(file, layout, make_reader)
            for make_reader in (_csv_reader, TolerantReader)
        ]
        if not any(first_rows):
            raise _empty_error(file)
        named = [rows[0] for rows in first_rows if len(rows) > 1]
        if not named:
            raise _no_rows_error(file)
        for header in named:
            names, _ = repeated(layout.complete_header([cell.strip() for cell in header]))
            yield Table({name: np.empty(0, object) for name in names}, name=file.name)


def _first_two_rows(
    file: TextFile, layout: Layout, make_reader: Callable[..., Reader]
) -> list[list[str]]:
    with file.first_lines(layout.num_skipped + separators.SAMPLE_LINES) as text:
        rows = make_reader(CountedLines(text, layout.num_skipped), layout.separator)
        return [*itertools.islice(filter(_is_row, rows), 2)]


def _csv_reader(lines: Iterable[str], separator: str, *, strict: bool = False) -> Reader:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _empty_error(file: TextFile) -> DataError:
    return DataError(f"Received {file.name!r}, which is empty; expected a line of column names.")


def _no_rows_error(file: TextFile) -> DataError:
    return DataError(f"Received {file.name!r} without rows; expected some below the column names.")


def _parse(file: TextFile) -> ParsedFile:
    layout = separators.layout(file)
    try:
        parsed = _parse_by_csv(file, layout)
    except (csv.Error, UnbalancedQuotesError):
        parsed = _parse_by_lines(file, layout)
    return parsed._replace(notes=(*layout.notes(file.name), *parsed.notes))


def _parse_by_csv(file: TextFile, layout: Layout) -> ParsedFile:
    """Read by the csv module. Raises csv.Error or UnbalancedQuotesError if quotes do not pair."""
    with file.lines() as text:
        counted = CountedLines(text, layout.num_skipped)
        reader = _csv_reader(counted, layout.separator, strict=True)
        header, rows = _rows(file, reader, counted, layout)
    if rows.spans.swallowed:
        raise UnbalancedQuotesError
    return rows.finish(file.name, header)


def _parse_by_lines(file: TextFile, layout: Layout) -> ParsedFile:
    """Read by `unbalanced_quotes.TolerantReader`."""
    with file.lines() as text:
        counted = CountedLines(text, layout.num_skipped)
        reader = TolerantReader(counted, layout.separator)
        header, rows = _rows(file, reader, counted, layout)
    parsed = rows.finish(file.name, header)
    if not reader.unmatched_quotes:
        return parsed
    locations = ", ".join(f"line {line}" for line in reader.unmatched_quotes[:MAX_LISTED_LINES])
    more = ", ..." * (len(reader.unmatched_quotes) > MAX_LISTED_LINES)
    count = len(reader.unmatched_quotes)
    note = (
        f"{file.name}: {count} opening quote{'s' * (count > 1)} without a closing quote, read as "
        f"part of the cell: {locations}{more}"
    )
    return parsed._replace(notes=(note, *parsed.notes))


def _rows(
    file: TextFile, reader: Reader, counted: CountedLines, layout: Layout
) -> tuple[list[str], "RowCollector"]:
    """Read the column names and all rows."""
    remaining = iter(reader)
    header = next((cells for cells in remaining if _is_row(cells)), None)
    if header is None:
        raise _empty_error(file)
    report_progress = file.progress()
    header = layout.complete_header([cell.strip() for cell in header])
    rows = RowCollector(len(header), layout.separator)
    rows.spans.last = reader.line_num
    for cells in remaining:
        rows.add(cells, reader.line_num)
        if counted.num_characters >= CHARACTERS_PER_PART:
            counted.num_characters = 0
            rows.pack()
            report_progress()
    return header, rows


class MultilineRows:
    """Statistics of rows that take several lines.

    Attributes:
        last: the line in which the last row ended.
        longest: the number of lines of the longest row, and minus its first line.
        swallowed: whether a quoted cell contains lines that are rows themselves.

    """

    def __init__(self, width: int, separator: str) -> None:
        self.width, self.separator, self.last = width, separator, 0
        self.longest, self.swallowed = (1, 0), False

    def add(self, cells: list[str], line: int) -> None:
        """Count a row that ends at `line`, several lines after `last`."""
        count = line - self.last
        self.longest = max(self.longest, (count, -self.last - 1))
        if count >= MIN_SWALLOWED_LINES and self.width > 1 and not self.swallowed:
            lines = self.separator.join(cells).split("\n")
            self.swallowed = all(text.count(self.separator) == self.width - 1 for text in lines)


class RowCollector:
    """Collects rows of equal length and packs them into columns, part by part.

    Attributes:
        lines: the line of the file in which each row ends.
        broken: line number and number of cells of the lines that do not have `width` cells.
        example: the first broken line.
        spans: statistics of rows that take several lines.

    """

    def __init__(self, width: int, separator: str) -> None:
        self.width, self.separator = width, separator
        self.lines, self.broken = array.array("q"), list[tuple[int, int]]()
        self.example, self.spans = "", MultilineRows(width, separator)
        self._waiting: list[list[str]] = []
        self._packers = [Packer() for _ in range(width)]

    def add(self, cells: list[str], line: int) -> None:
        """Add the next row, which ends at `line`."""
        if line - self.spans.last > 1:
            self.spans.add(cells, line)
        self.spans.last = line
        if not _is_row(cells):
            return
        if len(cells) == self.width:
            self._waiting.append(cells)
            self.lines.append(line)
        else:
            self.example = self.example or self.separator.join(cells)
            self.broken.append((line, len(cells)))

    def pack(self) -> None:
        """Move the rows added since the last call into the columns."""
        columns = [list(map(str.strip, cells)) for cells in zip(*self._waiting, strict=True)]
        self._waiting = []
        for packer, cells in zip(self._packers, columns, strict=False):
            packer.add(cells)

    def finish(self, name: str, header: list[str]) -> ParsedFile:
        """Return all rows of the file `name`. Raises DataError if every line is broken."""
        self.pack()
        if self.broken and not self.lines:
            raise DataError(
                f"Received {name!r}, where none of the {len(self.broken)} lines below the column "
                f"names has {self.width} cells, as the names have: {_locations(self.broken)}, as "
                f"{self.example[:MAX_SHOWN_CHARACTERS]!r}; expected rows like the names "
                f"{self.separator.join(header)[:MAX_SHOWN_CHARACTERS]!r}. Remove what is above the "
                "names, or correct the separators."
            )
        names, renamed = repeated(header)
        notes = [
            *_broken_lines_note(name, self.broken, self.width),
            *(f"{name}: {note}" for note in renamed),
        ]
        count, first = self.spans.longest
        if count >= MIN_NOTED_CELL_LINES:
            notes.append(f"{name}: a quoted cell from line {-first} on has {count} lines")
        columns = [packer.packed() for packer in self._packers]
        return ParsedFile(
            dict(zip(names, columns, strict=True)),
            np.array(self.lines, "int64"),
            tuple(self.broken),
            tuple(notes),
            self.separator,
        )


def _is_row(cells: list[str]) -> bool:
    return bool(cells) and (bool(cells[0].strip()) or any(map(str.strip, cells)))


def _broken_lines_note(name: str, broken: list[tuple[int, int]], expected: int) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"{name}: {len(broken)} lines left out, not of {expected} cells: {_locations(broken)}",)


def _locations(broken: list[tuple[int, int]]) -> str:
    locations = [f"line {number} has {count} cells" for number, count in broken[:MAX_LISTED_LINES]]
    return ", ".join(locations) + (", ..." if len(broken) > MAX_LISTED_LINES else "")
