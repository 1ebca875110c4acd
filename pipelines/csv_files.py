"""CSV files as people write them: any encoding, separator and number of broken lines."""

import array
import codecs
import contextlib
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from pipelines import looking
from pipelines.cells import Cells, Packer
from pipelines.examples import AddressError, DataError
from pipelines.files import at_home
from pipelines.tables import Table, Tables

SEPARATORS = ",;\t|"
LONGEST_CELL = 2**27  # characters; the csv module's own limit stops at 131,072
NUM_NAMED = 5
PART = 2**20  # bytes, or characters, of a file that are looked at together
HEAD = 4096  # bytes by which a program, a picture or a workbook is known
# As 1.234,5 is written where commas do not separate; points before it group thousands.
DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")


class Found(NamedTuple):
    """What a file holds.

    Attributes:
        columns: by their names.
        lines: where in the file each row ends.
        broken: number and length of the lines that were left out.
        notes: what to tell the user.

    """

    columns: dict[str, Cells]
    lines: np.ndarray
    broken: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()


def read(name: str) -> Tables:
    """The rows of a CSV file; the first line names the columns.

    Cells are stripped of surrounding blanks. UTF-8 with or without a mark,
    UTF-16 with one, and otherwise Latin-1 are read; the separator is the one
    that the first line has most of; where that is no comma, numbers may have decimal
    commas. Blank lines pass silently; lines with another number of cells are left out
    and named in the notes. Raises DataError where there is no table. The file is read
    from the disk twice, and never in memory as a whole.
    """
    path = at_home(name)
    try:
        with _opened(path) as file:
            encoding, notes = _encoding(path, file)
            separator = _separator(file, encoding)
            tell = _progress(path, file)
            with _text(file, encoding, newline="") as text:
                found = _found(path, text, separator, tell)
    except OSError as error:
        raise AddressError(
            f"Received {str(path)!r}, which cannot be read ({error.strerror}); expected a CSV file."
        ) from error
    if not len(found.lines):
        raise DataError(f"Received {name!r} without rows; expected some below the column names.")
    table = Table(dict(found.columns), name=path.name, lines=found.lines, broken=found.broken)
    return Tables(table, notes=(*notes, *found.notes))


def _opened(path: Path) -> BinaryIO:
    file = path.open("rb")
    if file.seekable():
        return file
    with file:  # a pipe can be read but once
        return io.BytesIO(file.read())


def _encoding(path: Path, file: BinaryIO) -> tuple[str, tuple[str, ...]]:
    head = file.read(HEAD)
    marked = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    if not marked and b"\0" in head:
        raise DataError(
            f"Received {str(path)!r}, which holds bytes of no text; expected a CSV file in UTF-8, "
            "UTF-16 with its mark, or Latin-1. Export it as CSV again."
        )
    encoding = "utf-16" if marked else "utf-8-sig"
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    try:
        while part := file.read(PART):
            decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1", (f"{path.name} is not UTF-8; read as Latin-1",)
    return encoding, ()


@contextlib.contextmanager
def _text(file: BinaryIO, encoding: str, newline: str) -> Iterator[Iterable[str]]:
    """The lines of a file from its beginning; it stays open."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, newline=newline)
    try:
        yield text
    finally:
        text.detach()


def _found(path: Path, text: Iterable[str], separator: str, tell: Callable[[], None]) -> Found:
    csv.field_size_limit(LONGEST_CELL)
    counted = Counted(text)
    reader = csv.reader(counted, delimiter=separator, skipinitialspace=True)
    try:
        header = next((cells for cells in reader if _is_row(cells)), None)
        if header is None:
            raise DataError(
                f"Received {str(path)!r}, which is empty; expected a line of column names."
            )
        rows = Rows(len(header), commas=separator != ",")
        for cells in reader:
            rows.add(cells, reader.line_num)
            if counted.since >= PART:
                counted.since = 0
                rows.pack()
                tell()
    except csv.Error as error:
        raise DataError(
            f"Received {str(path)!r}, where line {reader.line_num} is no CSV ({error}); expected "
            "rows of cells. Mend that line."
        ) from error
    names = _named([cell.strip() for cell in header])
    columns = dict(zip(names, rows.columns(), strict=True))
    notes = _told(path, rows.broken, len(header))
    if rows.comma:
        notes += (f"{path.name}: decimal commas read as points, as in {rows.comma}",)
    return Found(columns, np.array(rows.lines, "int64"), tuple(rows.broken), notes)


class Counted:
    """The lines of a text, and how many characters came `since` somebody set that to 0."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines, self.since = iter(lines), 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.since += len(line)
            yield line


class Rows:
    """Rows of equal length that become columns, some at a time.

    Attributes:
        lines: where in the file each row ends.
        broken: number and length of the lines that have not `width` cells.
        comma: the first number with a decimal comma, where such `commas` are looked for.

    """

    def __init__(self, width: int, *, commas: bool) -> None:
        self.width, self.commas, self.comma = width, commas, ""
        self.lines, self.broken = array.array("q"), list[tuple[int, int]]()
        self._waiting: list[list[str]] = []
        self._packers = [Packer() for _ in range(width)]

    def add(self, cells: list[str], line: int) -> None:
        """The next row, which ends at this line."""
        if not _is_row(cells):
            return
        if len(cells) == self.width:
            self._waiting.append(cells)
            self.lines.append(line)
        else:
            self.broken.append((line, len(cells)))

    def pack(self) -> None:
        """Lay what came in columns."""
        columns = [[cell.strip() for cell in cells] for cells in zip(*self._waiting, strict=True)]
        self._waiting = []
        if self.commas:
            found = [first for cells in columns if (first := _with_points(cells))]
            self.comma = self.comma or min(found, key=lambda first: first[0], default=(0, ""))[1]
        for packer, cells in zip(self._packers, columns, strict=False):
            packer.add(cells)

    def columns(self) -> list[Cells]:
        """All that came."""
        self.pack()
        return [packer.packed() for packer in self._packers]


def _is_row(cells: list[str]) -> bool:
    return any(map(str.strip, cells))


def _with_points(cells: list[str]) -> tuple[int, str] | None:
    """Put points for decimal commas; the first that there was, and its place."""
    first = None
    for place, cell in enumerate(cells):
        if "," in cell and DECIMAL_COMMA.fullmatch(cell):
            first = first or (place, cell)
            cells[place] = cell.replace(".", "").replace(",", ".")
    return first


def _separator(file: BinaryIO, encoding: str) -> str:
    """The one that the first line with anything in it has most of."""
    with _text(file, encoding, newline="\n") as text:
        first = next((line.lstrip() for line in text if line.strip()), "")
    return max(SEPARATORS, key=first.count)


def _progress(path: Path, file: BinaryIO) -> Callable[[], None]:
    """What tells who looks how much of the file is read."""
    look = looking.now()
    if look is None:
        return lambda: None
    size = file.seek(0, io.SEEK_END)
    return lambda: look.progress(f"reading {path.name}, byte", file.tell(), size)


def _told(path: Path, broken: list[tuple[int, int]], expected: int) -> tuple[str, ...]:
    if not broken:
        return ()
    some = [f"line {number} has {count} cells" for number, count in broken[:NUM_NAMED]]
    named = ", ".join(some) + (", ..." if len(broken) > NUM_NAMED else "")
    return (f"{path.name}: {len(broken)} lines left out, not of {expected} cells: {named}",)


def _named(header: list[str]) -> list[str]:
    """Column names, each once: nameless ones by their place, repeated ones by their number."""
    names: list[str] = []
    for place, cell in enumerate(header, 1):
        name = wanted = cell or f"column_{place}"
        number = 2
        while name in names:
            name, number = f"{wanted}_{number}", number + 1
        names.append(name)
    return names
