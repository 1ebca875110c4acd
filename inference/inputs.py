"""Inputs from outside."""

import contextlib
import contextvars
import os
import sys
from collections.abc import Iterator

import numpy as np

from pipelines.files import expand_home, looks_like_path
from pipelines.tables import csv_files
from pipelines.tables.table import Table, Tables

_NOTES: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("notes", default=None)


class UnreadableError(ValueError):
    """An input of the user's that cannot be read as a question of its kind."""

    exit_status = 2


def is_a_file(word: str) -> bool:
    """Whether a word is the name of a file. Raises UnreadableError where it is not there."""
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


@contextlib.contextmanager
def notes() -> Iterator[list[str]]:
    """Within this, what is told on standard error is also in the list."""
    token = _NOTES.set(found := list[str]())
    try:
        yield found
    finally:
        _NOTES.reset(token)


def tell(note: str) -> None:
    """Say on standard error what was found in an input."""
    print(note, file=sys.stderr)
    if (found := _NOTES.get()) is not None:
        found.append(note)


def places_in(name: str, table: Table) -> list[str]:
    """The rows of a file as editors and compilers name them: the file, and the line of each."""
    return [f"{name}:{line}" for line in np.asarray(table.lines).tolist()]


class PartlyReadError(RuntimeError):
    """Some inputs that could not be read; the others have their answers."""

    exit_status = 1


def table(name: str) -> Table:
    """The table of a CSV file; what was left out of it is told."""
    return told(csv_files.read(name))


def told(tables: Tables) -> Table:
    """A table that was read; what reading found is told."""
    for note in tables.notes:
        tell(note)
    return tables.train
