"""Inputs of `predict` from the command line: files, tables, and notes about them."""

import os
import sys
from collections.abc import Callable

from pipelines import standard_input, table_paths
from pipelines.files import expand_home, looks_like_path
from pipelines.table_paths import TABLE_KINDS
from pipelines.tables import table_files
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
    """Name each row of a file as editors do, `FILE:LINE`; without lines by its number from 1."""
    lines = range(1, len(table) + 1) if table.lines is None else table.lines.tolist()
    if table.file_of_row is None:
        return [f"{name.removeprefix(':')}:{line}" for line in lines]
    files = (table.files[position] for position in table.file_of_row.tolist())
    return [f"{file}:{line}" for file, line in zip(files, lines, strict=True)]


class PartlyReadError(RuntimeError):
    """Some inputs cannot be read; the others have predictions."""

    exit_status = 1


def is_table_address(word: str) -> bool:
    """Whether an input is `-`, an address such as parquet:PATH, or a pattern or directory."""
    kind, _, name = word.partition(":")
    if standard_input.is_standard_input(word) or (kind in TABLE_KINDS and name[:1].strip()):
        return True
    is_path = word.endswith("/") or table_paths.suffix_of(word) in table_paths.KINDS
    return is_path and bool(table_paths.kind_of_files(word))


def read_table(word: str, note: Note = print_note) -> Table:
    """Read a table, and pass its notes to `note`, such as the rows that are left out."""
    if standard_input.is_standard_input(word):
        word = standard_input.store_as_address(word)
    kind, separator, name = word.partition(":")
    if not separator or kind not in TABLE_KINDS:
        kind, name = table_paths.kind_of_files(word) or table_paths.kind_of_file(word), word
    return noted(table_files.read(kind, name), note)


def noted(tables: Tables, note: Note) -> Table:
    """Return the table of a file, and pass its notes to `note`."""
    for line in tables.notes:
        note(line)
    return tables.train
