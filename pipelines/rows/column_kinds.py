"""Describe each column of a table for the user, and find columns that are of no use."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.labels import cells_as_bytes
from pipelines.tables import cell_formats
from pipelines.tables import cells as raw
from pipelines.tables.cell_formats import CellFormat, InferredFormat
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import is_missing, normalized
from pipelines.tables.table import Table

# Training examples of a category; rarer ones are treated like unknown ones.
MIN_CATEGORY_EXAMPLES = 4
MIN_ID_ROWS = 20  # a column of this many texts, all distinct, holds identifiers
MAX_LISTED_CELLS, MAX_SEARCHED_CELLS = 5, 1000  # distinct cells in a note, and cells searched
# Reasons why nothing can be learnt from a column.
CONSTANT, ALL_DISTINCT, ALL_MISSING = "constant", "every text differs", "nothing but missing cells"


class ColumnDescription(NamedTuple):
    """A column as described to the user.

    Attributes:
        form: how its cells are read.
        description: the description for the user.
        unusable_because: why nothing can be learnt from it, or "".

    """

    form: CellFormat
    description: str
    unusable_because: str = ""


def describe_column(cells: AnyCells, inferred: InferredFormat) -> ColumnDescription:
    """Describe a column by its inferred format."""
    if inferred.form.kind == "category":
        return _categories(cells, inferred.form)
    read = cell_formats.parse_numbers(cells, inferred.form)
    unreadable = cell_formats.unparsable_rows(cells, read, inferred.form)
    gaps = np.isnan(read)
    missing = int(gaps.sum()) - len(unreadable)
    kind = "time, in days" if inferred.form.kind == "time" else "number"
    how = f" ({inferred.explanation})" * bool(inferred.explanation)
    lost = f", {missing} missing" * bool(missing)
    bad = (
        f", {len(unreadable)} unreadable such as {cell_text(cells[unreadable[0]])!r}"
        if len(unreadable)
        else ""
    )
    known = read[~gaps]
    constant = CONSTANT if len(known) == len(read) and (known == known[:1]).all() else ""
    empty = constant if len(known) else ALL_MISSING
    return ColumnDescription(inferred.form, f"{kind}{how}{lost}{bad}", empty)


def _categories(cells: AnyCells, form: CellFormat) -> ColumnDescription:
    counts = Counter(cells.tolist())
    known = [count for cell, count in counts.items() if not is_missing(cell)]
    missing = len(cells) - sum(known)
    lost = f", {missing} missing" * bool(missing)
    empty = ""
    if len(known) == 1 and not missing:
        empty = CONSTANT
    elif len(known) == sum(known) >= MIN_ID_ROWS:
        empty = ALL_DISTINCT
    elif max(missing, *known, 0) < MIN_CATEGORY_EXAMPLES:
        empty = f"no text occurs {MIN_CATEGORY_EXAMPLES} times"
    return ColumnDescription(form, f"{len(known)} categories{lost}{_differ_in_case(counts)}", empty)


def _differ_in_case(cells: Iterable[bytes]) -> str:
    """Return a remark on categories that differ only in case."""
    groups: dict[str | None, list[bytes]] = {}
    for cell in sorted(cells):
        if not is_missing(cell):
            groups.setdefault(normalized(cell), []).append(cell)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return ""
    some = " and ".join(repr(cell_text(cell)) for cell in several[0][:MAX_LISTED_CELLS])
    more = f" and {len(several) - 1} more such groups" if len(several) > 1 else ""
    return f" ({some} are different categories{more}: write them alike)"


def parse_texts(cells: AnyCells, labels: Sequence[str] = ()) -> np.ndarray:
    """Convert cells to UTF-8 bytes; b"" for missing ones."""
    if labels:
        texts = [labels[cell].encode() if cell >= 0 else b"" for cell in cells]
    elif cells.dtype == object:
        known = np.array(cells, object)
        known[raw.missing_of(cells)] = b""
        return known
    else:
        texts = cells_as_bytes(cells)
    return np.array([*texts, None], object)[:-1]


def cell_text(cell: object) -> str:
    """Return a cell as text for a message."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def unreadable_cell_notes(
    table: Table,
    features: Mapping[str, np.ndarray],
    forms: Mapping[str, CellFormat],
    categories: Mapping[str, Collection[bytes]],
) -> Iterator[str]:
    """Yield notes on unreadable cells of a table and on categories unknown to training."""
    for name, form in forms.items():
        column = features[name]
        if form.kind == "category":
            known = categories[name]
            new = {cell for cell in set(column.tolist()) if cell and cell not in known}
            where = np.flatnonzero([cell in new for cell in column.tolist()])
            what = "unknown to training"
        else:
            where = cell_formats.unparsable_rows(table.columns[name], column, form)
            what = f"not a {form.kind} and counted as missing"
        if len(where):
            yield f"column {name}: {_cells(table, name, where)} {what}"


def _cells(table: Table, name: str, where: np.ndarray) -> str:
    """Describe a few cells and their rows, for a note."""
    first: dict[bytes, int] = {}
    for row in where[:MAX_SEARCHED_CELLS]:
        if len(first) < MAX_LISTED_CELLS:
            first.setdefault(table.columns[name][int(row)], int(row))
    some = ", ".join(f"{cell_text(cell)!r} ({table.where(row)})" for cell, row in first.items())
    is_one = len(where) == 1
    return f"{len(where):,} cell{'s' * (not is_one)} such as {some} {'is' if is_one else 'are'}"
