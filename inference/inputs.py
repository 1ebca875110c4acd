"""Inputs of `predict` from the command line: files, tables, and notes about them."""

import os
import sys
from collections.abc import Callable

import numpy as np

from pipelines.files import expand_home, looks_like_path
from pipelines.tables import csv_files
from pipelines.tables.table import Table, Tables


class UnreadableError(ValueError):
    """An input that cannot be read as the run's modality."""

    exit_status = 2


def is_a_file(word: str) -> bool:
    """Whether an input is the path of a file. Raises UnreadableError if no such file exists."""
    place = str(expand_home(word))
    if os.path.isfile(place):  # noqa: PTH113 - false too where there can be no such path
        return True
    if not looks_like_path(word):
        return False
    if os.path.exists(place) and not os.path.isdir(place):  # noqa: PTH110, PTH112 - a pipe
        return True
    reason = "it is a folder" if os.path.isdir(place) else "there is no such file"  # noqa: PTH112
    raise UnreadableError(
        f"Received {word!r}, which is the name of a file: {reason}; expected one that is there."
    )


# Takes a line for the user about what reading found.
Note = Callable[[str], None]


def print_note(line: str) -> None:
    """Print a line to standard error."""
    print(line, file=sys.stderr)


class Notes(list[str]):
    """Notes about inputs: collects the lines, and prints each to standard error."""

    def __call__(self, line: str) -> None:
        """Add a line."""
        print_note(line)
        self.append(line)


def row_names(name: str, table: Table) -> list[str]:
    """Name each row of a file as editors do, `FILE:LINE`."""
    return [f"{name}:{line}" for line in np.asarray(table.lines).tolist()]


class PartlyReadError(RuntimeError):
    """Some inputs cannot be read; the others have predictions."""

    exit_status = 1


def read_table(name: str, note: Note = print_note) -> Table:
    """Read a CSV file, and note what is left out."""
    return noted(csv_files.read(name), note)


def noted(tables: Tables, note: Note) -> Table:
    """Return the table of a file; notes what reading found."""
    for line in tables.notes:
        note(line)
    return tables.train
