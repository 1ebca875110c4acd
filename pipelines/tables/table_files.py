"""Read the table at an address such as csv:PATH: one file or several, of any format."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.inspection import Inspection
from pipelines.table_paths import files_of
from pipelines.tables import arrow_columns, csv_files, file_sets, typed_files
from pipelines.tables.separators import SEPARATORS
from pipelines.tables.table import Table, Tables

CSV_SEPARATORS = {"csv": SEPARATORS, "tsv": "\t"}


def read(kind: str, name: str, inspection: Inspection | None = None) -> Tables:
    """Read a file, the files of a directory, or those that match a pattern.

    Raises AddressError for a path without a file; DataError for a file that cannot be read as
    `kind`, or if the columns of several files differ.
    """
    names = files_of(kind, name)
    if kind in CSV_SEPARATORS:
        parts = [csv_files.read(file, inspection, CSV_SEPARATORS[kind]) for file in names]
        return parts[0] if len(parts) == 1 else file_sets.join_tables(parts)
    title = Path(names[0]).name
    data = [typed_files.read(kind, file) for file in names]
    if len(names) == 1:
        return arrow_columns.tables_of(data[0], title)
    joined = file_sets.join_typed(names, data)
    return arrow_columns.tables_of(joined, f"{title} and {len(names) - 1} more")


def headers(kind: str, name: str) -> Iterator[Table]:
    """Yield a table without rows for each way to read the column names of the first file."""
    first, *_ = files_of(kind, name)
    if kind in CSV_SEPARATORS:
        yield from csv_files.headers(first, CSV_SEPARATORS[kind])
        return
    names = arrow_columns.names_of(typed_files.schema(kind, first))
    yield Table({column: np.empty(0, object) for column in names}, name=Path(first).name)
