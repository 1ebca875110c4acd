"""CSV files as people write them: any encoding, separator and number of broken lines."""

import array
import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from pipelines.examples import DataError
from pipelines.tables import separators, text_files
from pipelines.tables.cells import Cells, Packer
from pipelines.tables.quotes import Lines
from pipelines.tables.separators import Layout
from pipelines.tables.table import Table, Tables, repeated
from pipelines.tables.text_files import Counted, TextFile

LONGEST_CELL = 2**27  # characters; the csv module's own limit stops at 131,072
NUM_NAMED = 5
NUM_SHOWN = 60  # letters of a line in a message
PART = 2**20  # characters of a file that become columns together
# So many rows in one quoted cell are a quote that nothing ends.
NUM_SWALLOWED = 3
LONG_CELL = 10  # lines of a cell from which on it is named


class Found(NamedTuple):
    """What a file holds.

    Attributes:
        columns: by their names.
        lines: where in the file each row ends.
        broken: number and length of the lines that were left out.
        notes: what to tell the user.
        separator: between cells.

    """

    columns: dict[str, Cells]
    lines: np.ndarray
    broken: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()
    separator: str = ","


class Reader(Protocol):
    """What gives rows of cells, and tells the line that it read last."""

    @property
    def line_num(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[list[str]]: ...


class SwallowedError(Exception):
    """A quoted cell holds what are rows themselves."""


def read(name: str) -> Tables:
    """The rows of a CSV file; the first line names the columns.

    The file may be compressed, and in any usual encoding (see `text_files`). Cells are stripped
    of surrounding blanks. The separator is the one by which most rows have as many cells as the
    first line, or the one that a line `sep=;` names. A quote that no other one ends is a
    letter. Blank lines pass silently; lines with another number of cells are left out and named
    in the notes. Raises DataError where there is no table. The file is read from the disk several
    times, and never in memory as a whole.
    """
    with text_files.opened(name) as file:
        return read_open(file)


def read_open(file: TextFile) -> Tables:
    """As `read`, of a file that is open."""
    found = _found(file)
    if not len(found.lines):
        raise _without_rows(file)
    table = Table(
        dict(found.columns),
        name=file.name,
        lines=found.lines,
        broken=found.broken,
        separator=found.separator,
    )
    return Tables(table, notes=(*file.notes, *found.notes))


def headers(name: str) -> Iterator[Table]:
    """The column names of a file, in tables without rows, as each of the ways to read it has them.

    Of a file that begins with English letters the beginning alone is looked at. Raises DataError
    as `read` where the file cannot be read.
    """
    with text_files.opened(name) as file:
        layout = separators.layout(file)
        found = [_two_rows(file, layout, way) for way in (_by_csv, Lines)]
        if not any(found):
            raise _empty(file)
        named = [rows[0] for rows in found if len(rows) > 1]
        if not named:
            raise _without_rows(file)
        for header in named:
            names, _ = repeated(layout.named([cell.strip() for cell in header]))
            yield Table({name: np.empty(0, object) for name in names}, name=file.name)


def _two_rows(file: TextFile, layout: Layout, way: Callable[..., Reader]) -> list[list[str]]:
    with file.first_lines(layout.before + separators.SAMPLE) as text:
        rows = way(Counted(text, layout.before), layout.separator)
        return [*itertools.islice(filter(_is_row, rows), 2)]


def _by_csv(lines: Iterable[str], separator: str, *, strict: bool = False) -> Reader:
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _empty(file: TextFile) -> DataError:
    return DataError(f"Received {file.name!r}, which is empty; expected a line of column names.")


def _without_rows(file: TextFile) -> DataError:
    return DataError(f"Received {file.name!r} without rows; expected some below the column names.")


def _found(file: TextFile) -> Found:
    layout = separators.layout(file)
    try:
        found = _read(file, layout)
    except (csv.Error, SwallowedError):
        found = _read_by_lines(file, layout)
    return found._replace(notes=(*layout.notes(file.name), *found.notes))


def _read(file: TextFile, layout: Layout) -> Found:
    """As the csv module reads it. Raises csv.Error or SwallowedError where quotes do not pair."""
    with file.lines() as text:
        counted = Counted(text, layout.before)
        reader = _by_csv(counted, layout.separator, strict=True)
        header, rows = _rows(file, reader, counted, layout)
    if rows.spans.swallowed:
        raise SwallowedError
    return rows.found(file.name, header)


def _read_by_lines(file: TextFile, layout: Layout) -> Found:
    """As `quotes.Lines` reads it."""
    with file.lines() as text:
        counted = Counted(text, layout.before)
        reader = Lines(counted, layout.separator)
        header, rows = _rows(file, reader, counted, layout)
    found = rows.found(file.name, header)
    if not reader.stray:
        return found
    where = ", ".join(f"line {line}" for line in reader.stray[:NUM_NAMED])
    more = ", ..." * (len(reader.stray) > NUM_NAMED)
    count = len(reader.stray)
    told = (
        f"{file.name}: {count} quote{'s' * (count > 1)} at the beginning of a cell that no other "
        f"one ends, read as letter{'s' * (count > 1)}: {where}{more}"
    )
    return found._replace(notes=(told, *found.notes))


def _rows(
    file: TextFile, reader: Reader, counted: Counted, layout: Layout
) -> tuple[list[str], "Rows"]:
    """The column names and all rows."""
    each = iter(reader)
    header = next((cells for cells in each if _is_row(cells)), None)
    if header is None:
        raise _empty(file)
    tell = file.progress()
    header = layout.named([cell.strip() for cell in header])
    rows = Rows(len(header), layout.separator)
    rows.spans.last = reader.line_num
    for cells in each:
        rows.add(cells, reader.line_num)
        if counted.since >= PART:
            counted.since = 0
            rows.pack()
            tell()
    return header, rows


class Spans:
    """Rows that take several lines.

    Attributes:
        last: the line in which the last row ended.
        longest: how many lines the longest takes, and its first one.
        swallowed: whether a quoted cell holds lines that are rows themselves.

    """

    def __init__(self, width: int, separator: str) -> None:
        self.width, self.separator, self.last = width, separator, 0
        self.longest, self.swallowed = (1, 0), False

    def add(self, cells: list[str], line: int) -> None:
        """A row that ends at this line, some after `last`."""
        count = line - self.last
        self.longest = max(self.longest, (count, -self.last - 1))
        if count >= NUM_SWALLOWED and self.width > 1 and not self.swallowed:
            lines = self.separator.join(cells).split("\n")
            self.swallowed = all(one.count(self.separator) == self.width - 1 for one in lines)


class Rows:
    """Rows of equal length that become columns, some at a time.

    Attributes:
        lines: where in the file each row ends.
        broken: number and length of the lines that have not `width` cells.
        example: the first of them.
        spans: what is known of rows that take several lines.

    """

    def __init__(self, width: int, separator: str) -> None:
        self.width, self.separator = width, separator
        self.lines, self.broken = array.array("q"), list[tuple[int, int]]()
        self.example, self.spans = "", Spans(width, separator)
        self._waiting: list[list[str]] = []
        self._packers = [Packer() for _ in range(width)]

    def add(self, cells: list[str], line: int) -> None:
        """The next row, which ends at this line."""
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
        """Lay what came in columns."""
        columns = [list(map(str.strip, cells)) for cells in zip(*self._waiting, strict=True)]
        self._waiting = []
        for packer, cells in zip(self._packers, columns, strict=False):
            packer.add(cells)

    def found(self, name: str, header: list[str]) -> Found:
        """All that came, from the file `name`. Raises DataError where no line is a row."""
        self.pack()
        if self.broken and not self.lines:
            raise DataError(
                f"Received {name!r}, where none of the {len(self.broken)} lines below the column "
                f"names has as many cells as they, {self.width}: {_places(self.broken)}, as "
                f"{self.example[:NUM_SHOWN]!r}; expected rows like the names "
                f"{self.separator.join(header)[:NUM_SHOWN]!r}. Take out what is above the names, "
                "or mend the separators."
            )
        names, renamed = repeated(header)
        notes = [*_told(name, self.broken, self.width), *(f"{name}: {one}" for one in renamed)]
        count, first = self.spans.longest
        if count >= LONG_CELL:
            notes.append(f"{name}: a quoted cell runs over {count} lines from line {-first}")
        columns = [packer.packed() for packer in self._packers]
        return Found(
            dict(zip(names, columns, strict=True)),
            np.array(self.lines, "int64"),
            tuple(self.broken),
            tuple(notes),
            self.separator,
        )


def _is_row(cells: list[str]) -> bool:
    return bool(cells) and (bool(cells[0].strip()) or any(map(str.strip, cells)))


def _told(name: str, broken: list[tuple[int, int]], expected: int) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"{name}: {len(broken)} lines left out, not of {expected} cells: {_places(broken)}",)


def _places(broken: list[tuple[int, int]]) -> str:
    some = [f"line {number} has {count} cells" for number, count in broken[:NUM_NAMED]]
    return ", ".join(some) + (", ..." if len(broken) > NUM_NAMED else "")
