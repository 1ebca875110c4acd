"""CSV files as people write them: any encoding, separator and number of broken lines."""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.examples import AddressError, DataError
from pipelines.files import at_home
from pipelines.tables import Table, Tables

SEPARATORS = ",;\t|"
LONGEST_CELL = 2**27  # characters; the csv module's own limit stops at 131,072
NUM_NAMED = 5
HEAD = 4096  # bytes by which a program, a picture or a workbook is known
# As 1.234,5 is written where commas do not separate; points before it group thousands.
DECIMAL_COMMA = re.compile(r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+")


class Cells(NamedTuple):
    """The cells of a file.

    Attributes:
        lines: of cells; the first holds the names of the columns.
        numbers: where in the file each of them ends.
        broken: number and length of the lines that were left out.
        notes: what to tell the user.

    """

    lines: list[list[str]]
    numbers: list[int]
    broken: list[tuple[int, int]]
    notes: tuple[str, ...] = ()


def read(name: str) -> Tables:
    """The rows of a CSV file; the first line names the columns.

    Cells are stripped of surrounding blanks. UTF-8 with or without a mark,
    UTF-16 with one, and otherwise Latin-1 are read; the separator is the one
    that the first line has most of; where that is no comma, numbers may have decimal
    commas. Blank lines pass silently; lines with another number of cells are left out
    and named in the notes. Raises DataError where there is no table.
    """
    path = at_home(name)
    text, notes = _decoded(path)
    found = _cells(path, text)
    header, rows = _named(found.lines[0]), found.lines[1:]
    if not rows:
        raise DataError(f"Received {name!r} without rows; expected some below the column names.")
    for cells in rows:  # each text goes before the next is made
        cells[:] = map(str.encode, cells)  # type: ignore[arg-type]
    columns = {
        title: np.array(cells, dtype=object)
        for title, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    lines = np.array(found.numbers[1:])
    table = Table(columns, name=path.name, lines=lines, broken=tuple(found.broken))
    return Tables(table, notes=(*notes, *found.notes))


def _decoded(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AddressError(
            f"Received {str(path)!r}, which cannot be read ({error.strerror}); expected a CSV file."
        ) from error
    marked = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    if not marked and b"\0" in content[:HEAD]:
        raise DataError(
            f"Received {str(path)!r}, which holds bytes of no text; expected a CSV file in UTF-8, "
            "UTF-16 with its mark, or Latin-1. Export it as CSV again."
        )
    try:
        if marked:
            return content.decode("utf-16"), ()
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return content.decode("latin-1"), (f"{path.name} is not UTF-8; read as Latin-1",)


def _cells(path: Path, text: str) -> Cells:
    first = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    found = Cells([], [], [])
    lines = found.lines
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if lines and len(cells) != len(lines[0]):
                found.broken.append((reader.line_num, len(cells)))
            else:
                lines.append([cell.strip() for cell in cells])
                found.numbers.append(reader.line_num)
    except csv.Error as error:
        raise DataError(
            f"Received {str(path)!r}, where line {reader.line_num} is no CSV ({error}); expected "
            "rows of cells. Mend that line."
        ) from error
    if not lines:
        raise DataError(f"Received {str(path)!r}, which is empty; expected a line of column names.")
    told = _told(path, found.broken, len(lines[0]))
    return found._replace(notes=told if separator == "," else (*told, *_with_points(path, lines)))


def _with_points(path: Path, lines: list[list[str]]) -> tuple[str, ...]:
    """Put points for decimal commas, and tell of it."""
    first = ""
    for cells in lines[1:]:
        for place, cell in enumerate(cells):
            if "," in cell and DECIMAL_COMMA.fullmatch(cell):
                first = first or cell
                cells[place] = cell.replace(".", "").replace(",", ".")
    return (f"{path.name}: decimal commas read as points, as in {first}",) if first else ()


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
