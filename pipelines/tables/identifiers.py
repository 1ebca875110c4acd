"""Read cells that name things, such as users or customers."""

import re

import numpy as np

from pipelines.labels import cells_as_bytes
from pipelines.tables import cells as raw
from pipelines.tables.cells import Cells, Distinct
from pipelines.tables.missing import ID_WORDS, is_missing
from pipelines.tables.table import Table

WHOLE_NUMBER = re.compile(rb"(\d+)(?:\.0+)?")


def read_identifiers(table: Table, name: str) -> Distinct:
    """Read ids as UTF-8 bytes: class numbers by their names, 7.0 as 7, b"" for missing ones."""
    column, labels = table.columns[name], table.labels.get(name)
    if column.dtype == object:
        values, codes = raw.distinct_of(column)
        known = [b"" if is_missing(cell, ID_WORDS) else cell for cell in values.tolist()]
        return Distinct(np.array([*_without_decimals(known), None], object)[:-1], codes)
    if not labels:
        return Cells.of(cells_as_bytes(column)).distinct
    numbers = np.asarray(column).tolist()
    return Cells.of(labels[number].encode() if number >= 0 else b"" for number in numbers).distinct


def _without_decimals(ids: list[bytes]) -> list[bytes]:
    """Rewrite ids such as 7.0 as 7 if all are whole: programs add .0 in columns with gaps."""
    matches = [WHOLE_NUMBER.fullmatch(cell) for cell in ids if cell]
    if not matches or not all(matches):
        return ids
    return [match[1] if (match := WHOLE_NUMBER.fullmatch(cell)) else cell for cell in ids]
