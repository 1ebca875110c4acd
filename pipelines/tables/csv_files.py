"""Read CSV files of any encoding and separator, also with broken lines."""

import csv
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from pipelines.inspection import Inspection
from pipelines.tables import irregular_csv, regular_csv, text_files
from pipelines.tables.csv_blocks import IrregularError
from pipelines.tables.parsed_csv import empty_error, is_row, no_rows_error
from pipelines.tables.separators import SAMPLE_LINES, SEPARATORS, Layout
from pipelines.tables.separators import layout as detect_layout
from pipelines.tables.table import Table, Tables, repeated
from pipelines.tables.text_files import CountedLines, TextFile
from pipelines.tables.unbalanced_quotes import TolerantReader


def read(name: str, inspection: Inspection | None = None, separators: str = SEPARATORS) -> Tables:
    """Read the rows of a CSV file whose first line names the columns.

    The file may be compressed and in any common encoding (see `text_files`). Cells are stripped
    of surrounding blanks. The separator is the one with which most rows have as many cells as
    the first line, or the one that a line `sep=;` names. A quote without a closing quote is an
    ordinary character. Blank lines are skipped; lines with another number of cells are left out
    and listed in the notes. Raises DataError if the file holds no table.
    """
    with text_files.opened(name, inspection) as file:
        return read_open(file, separators)


def read_open(file: TextFile, separators: str = SEPARATORS) -> Tables:
    """Read the rows of an open file, as `read` does."""
    layout = detect_layout(file, separators)
    try:
        parsed = regular_csv.parse(file, layout)
    except IrregularError:
        parsed = irregular_csv.parse(file, layout)
    parsed.require_rows(file.name, layout.separator)
    names, renamed = repeated(parsed.header)
    table = Table(
        dict(zip(names, parsed.columns, strict=True)),
        name=file.name,
        lines=parsed.lines,
        broken=tuple((line, num_cells) for line, num_cells, _ in parsed.broken),
        separator=layout.separator,
    )
    notes = (*file.notes, *layout.notes(file.name), *parsed.notes(file.name, renamed))
    return Tables(table, notes=notes)


def headers(name: str, separators: str = SEPARATORS) -> Iterator[Table]:
    """Yield a table without rows for each way to read the column names of a file.

    If the beginning of the file is ASCII, only the beginning is read. Raises DataError as `read`
    does.
    """
    with text_files.opened(name) as file:
        layout = detect_layout(file, separators)
        first_rows = [
            _first_two_rows(file, layout, make_reader)
            for make_reader in (_csv_reader, TolerantReader)
        ]
        if not any(first_rows):
            raise empty_error(file.name)
        named = [rows[0] for rows in first_rows if len(rows) > 1]
        if not named:
            raise no_rows_error(file.name)
        for header in named:
            names, _ = repeated(layout.complete_header([cell.strip() for cell in header]))
            yield Table({name: np.empty(0, object) for name in names}, name=file.name)


def _first_two_rows(
    file: TextFile, layout: Layout, make_reader: Callable[..., Any]
) -> list[list[str]]:
    with file.first_lines(layout.num_skipped + SAMPLE_LINES) as text:
        rows = make_reader(CountedLines(text, layout.num_skipped), layout.separator)
        return [*itertools.islice(filter(is_row, rows), 2)]


def _csv_reader(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(regular_csv.MAX_CELL_CHARACTERS)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)
