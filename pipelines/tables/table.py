"""Columns by name, as a file or a set holds them."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.tables.cells import AnyCells

NUM_LISTED, LONGEST = 12, 40  # names in a message, and letters of each


def listed(names: Iterable[str]) -> str:
    """Names of columns for a message of few lines, however many and long they are."""
    short = [name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names]
    shown, more = ", ".join(short[:NUM_LISTED]), len(short) - NUM_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def repeated(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Column names, each once, and notes of those that differ from the header's.

    Nameless columns are called by their place, repeated ones by their number.
    """
    names, notes = dict[str, None](), list[str]()
    for place, cell in enumerate(header, 1):
        name = wanted = cell or f"column_{place}"
        number = 2
        while name in names:
            name, number = f"{wanted}_{number}", number + 1
        names[name] = None
        if not cell:
            notes.append(f"column {place} has no name; it is called {name!r}")
        elif name != wanted:
            notes.append(f"column {place} is called {wanted!r} too; it is read as {name!r}")
    if len(notes) > NUM_LISTED:
        notes[NUM_LISTED:] = [f"{len(notes) - NUM_LISTED} more columns are called by their place"]
    return [*names], notes


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    Columns of a CSV file are `Cells`, UTF-8 bytes as read, whose parts are object
    arrays; those of a TFDS set are as stored. `labels` name the classes of columns that hold class
    numbers. `name` is that of the file, `lines` where in it each row ends, and
    `broken` are the lines that were left out, with the number of their cells.
    `separator` is what separated the cells.
    """

    columns: Mapping[str, AnyCells]
    labels: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    name: str = ""
    lines: np.ndarray | None = None
    broken: tuple[tuple[int, int], ...] = ()
    separator: str = ","

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def select(self, rows: np.ndarray) -> "Table":
        """The rows at these positions."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        lines = None if self.lines is None else self.lines[rows]
        return dataclasses.replace(self, columns=columns, lines=lines)

    def where(self, row: int) -> str:
        """A row as people find it."""
        if self.lines is None:
            return f"record {row}"
        return f"{self.name} line {self.lines[row]}"


class Tables(NamedTuple):
    """What an address holds; validation and test where the source has them.

    `noise_floor` is the least root mean squared error that any model can reach, where
    the data are generated and it is known.
    """

    train: Table
    valid: Table | None = None
    test: Table | None = None
    notes: tuple[str, ...] = ()
    noise_floor: float | None = None

    def each(self, make: Callable[[Table], Any], absent: Any = None) -> list[Any]:
        """What `make` gives for the training, validation and test table."""
        held = (self.train, self.valid, self.test)
        return [absent if table is None else make(table) for table in held]
