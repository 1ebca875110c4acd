"""Inputs from outside."""

import sys

from pipelines import csv_files
from pipelines.tables import Table


class UnreadableError(ValueError):
    """An input of the user's that cannot be read as a question of its kind."""

    exit_status = 2


def table(name: str) -> Table:
    """The table of a CSV file; what was left out of it is told on standard error."""
    tables = csv_files.read(name)
    for note in tables.notes:
        print(note, file=sys.stderr)
    return tables.train
