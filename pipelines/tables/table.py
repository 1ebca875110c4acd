"""Tables of named columns, as read from a file or a data set."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.tables.cells import AnyCells

MAX_LISTED_NAMES, MAX_NAME_LENGTH = 12, 40  # in a message; characters


def listed(names: Iterable[str]) -> str:
    """Join column names for a message, shortened if they are many or long."""
    short = [
        name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}..." for name in names
    ]
    shown, more = ", ".join(short[:MAX_LISTED_NAMES]), len(short) - MAX_LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def repeated(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Make the column names of a header unique; also return notes on changed names.

    Unnamed columns are called `column_N`; repeated names get a number.
    """
    names, notes = dict[str, None](), list[str]()
    for position, cell in enumerate(header, 1):
        name = base = cell or f"column_{position}"
        number = 2
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names[name] = None
        if not cell:
            notes.append(f"column {position} has no name; it is called {name!r}")
        elif name != base:
            notes.append(f"column {position} repeats the name {base!r}; it is called {name!r}")
    if len(notes) > MAX_LISTED_NAMES:
        notes[MAX_LISTED_NAMES:] = [f"{len(notes) - MAX_LISTED_NAMES} more columns are renamed"]
    return [*names], notes


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    Columns of a CSV file are `Cells`: UTF-8 bytes, which indexing turns into object arrays. Columns
    of a TFDS data set are arrays as stored.

    Attributes:
        columns: the cells of each column by its name.
        labels: class names of the columns that hold class numbers.
        name: name of the file.
        lines: the line of the file in which each row ends.
        broken: line number and number of cells of the lines that are left out.
        separator: the separator of cells in the file.
        files: the names of several files.
        file_of_row: the position in `files` of the file of each row.
        lists: the columns whose cells are lists in the file, as such.

    """

    columns: Mapping[str, AnyCells]
    labels: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    name: str = ""
    lines: np.ndarray | None = None
    broken: tuple[tuple[int, int], ...] = ()
    separator: str = ","
    files: tuple[str, ...] = ()
    file_of_row: np.ndarray | None = None
    lists: Mapping[str, pa.ChunkedArray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def select(self, rows: np.ndarray) -> "Table":
        """Return the rows at these positions."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        lines = None if self.lines is None else self.lines[rows]
        files = None if self.file_of_row is None else self.file_of_row[rows]
        lists = {name: column.take(pa.array(rows)) for name, column in self.lists.items()}
        return dataclasses.replace(
            self, columns=columns, lines=lines, file_of_row=files, lists=lists
        )

    def without(self, names: Collection[str]) -> "Table":
        """Return the table without some columns."""
        columns = {name: column for name, column in self.columns.items() if name not in names}
        return dataclasses.replace(self, columns=columns)

    def where(self, row: int) -> str:
        """Return the location of a row, for the user: its file and line."""
        if self.lines is None:
            return f"record {row}"
        name = self.name if self.file_of_row is None else self.files[self.file_of_row[row]]
        return f"{name} line {self.lines[row]}"


class Tables(NamedTuple):
    """The tables of a data address; validation and test only if the source has them.

    `noise_floor` is the lowest root mean squared error that a model can reach, known for
    generated data.
    """

    train: Table
    valid: Table | None = None
    test: Table | None = None
    notes: tuple[str, ...] = ()
    noise_floor: float | None = None

    def each(self, make: Callable[[Table], Any], absent: Any = None) -> list[Any]:
        """Apply `make` to the training, validation and test table; None becomes `absent`."""
        tables = (self.train, self.valid, self.test)
        return [absent if table is None else make(table) for table in tables]
