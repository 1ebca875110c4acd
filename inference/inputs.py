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
    path = str(expand_home(word))
    if os.path.isfile(path):  # noqa: PTH113 - unlike pathlib, False for impossible paths
        return True
    if not looks_like_path(word):
        return False
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 - a pipe
        return True
    reason = "it is a folder" if os.path.isdir(path) else "there is no such file"  # noqa: PTH112
    raise UnreadableError(
        f"Received {word!r}, which is the name of a file: {reason}; expected an existing file."
    )


# Called with a line for the user about the input that was read.
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
    """Read a CSV file, and pass its notes to `note`, such as the rows that are left out."""
    return noted(csv_files.read(name), note)


def noted(tables: Tables, note: Note) -> Table:
    """Return the table of a file, and pass its notes to `note`."""
    for line in tables.notes:
        note(line)
    return tables.train
