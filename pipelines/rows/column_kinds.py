"""Describe each column of a table for the user, and find columns that cannot be used."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.labels import cells_as_bytes
from pipelines.tables import cell_formats
from pipelines.tables import cells as raw
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cells import AnyCells, Cells, Distinct, ParsedColumn
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.inferred_column import Kind
from pipelines.tables.missing import is_missing, normalized
from pipelines.tables.table import Table

# Training examples of a category; rarer ones are treated like unknown ones.
MIN_CATEGORY_EXAMPLES = 4
MIN_ID_ROWS = 20  # a column of this many texts, all distinct, holds identifiers
MAX_LISTED_CELLS, MAX_SEARCHED_CELLS = 5, 1000  # distinct cells in a note, and cells searched
DESCRIPTIONS: dict[Kind, str] = {
    "number": "number",
    "time": "time, in days",
    "clock": "time of day, in hours",
    "duration": "duration, in seconds",
}
# Reasons why nothing can be learnt from a column.
CONSTANT, ALL_DISTINCT, ALL_MISSING = "constant", "every text differs", "only missing cells"


class ColumnDescription(NamedTuple):
    """A column as described to the user.

    Attributes:
        form: how its cells are read.
        description: the description for the user.
        unusable_because: why nothing can be learnt from it, or "".
        missing: number of missing cells; None if they were not counted.
        unreadable: number of other cells that cannot be read.
        distinct: number of distinct texts; None for numbers.

    """

    form: CellFormat
    description: str
    unusable_because: str = ""
    missing: int | None = 0
    unreadable: int | None = 0
    distinct: int | None = None


def describe_column(cells: AnyCells, inferred: InferredFormat) -> ColumnDescription:
    """Describe a column by its inferred format."""
    if inferred.form.kind in ("text", "list"):
        return _texts(cells, inferred.form)
    if inferred.form.is_text:
        return _categories(cells, inferred.form)
    numbers = cell_formats.parse_numbers(cells, inferred.form)
    unreadable = cell_formats.unparsable_rows(cells, numbers, inferred.form)
    gaps = np.isnan(numbers)
    missing = int(gaps.sum()) - len(unreadable)
    kind = DESCRIPTIONS[inferred.form.kind]
    explanation = f" ({inferred.explanation})" * bool(inferred.explanation)
    missing_note = f", {missing} missing" * bool(missing)
    unreadable_note = (
        f", {len(unreadable)} unreadable such as {cell_text(cells[unreadable[0]])!r}"
        if len(unreadable)
        else ""
    )
    known = numbers[~gaps]
    constant = CONSTANT if len(known) == len(numbers) and (known == known[:1]).all() else ""
    reason = constant if len(known) else ALL_MISSING
    return ColumnDescription(
        inferred.form,
        f"{kind}{explanation}{missing_note}{unreadable_note}",
        reason,
        missing,
        len(unreadable),
    )


def _texts(cells: AnyCells, form: CellFormat) -> ColumnDescription:
    counts = parse_texts(cells, form).counts()
    known = {cell: count for cell, count in counts.items() if not is_missing(cell)}
    missing = len(cells) - sum(known.values())
    missing_note = f", {missing} missing" * bool(missing)
    reason = CONSTANT if len(known) == 1 and not missing else ALL_MISSING if not known else ""
    description = f"{form.kind}, {len(known)} different{missing_note}"
    return ColumnDescription(form, description, reason, missing, distinct=len(known))


def _categories(cells: AnyCells, form: CellFormat) -> ColumnDescription:
    counts = _counts(cells, form)
    known_counts = [count for cell, count in counts.items() if not is_missing(cell)]
    missing = len(cells) - sum(known_counts)
    missing_note = f", {missing} missing" * bool(missing)
    reason = ""
    if len(known_counts) == 1 and not missing:
        reason = CONSTANT
    elif len(known_counts) == sum(known_counts) >= MIN_ID_ROWS:
        reason = ALL_DISTINCT
    elif max(missing, *known_counts, 0) < MIN_CATEGORY_EXAMPLES:
        reason = f"no text occurs {MIN_CATEGORY_EXAMPLES} times"
    return ColumnDescription(
        form,
        f"{_describe_texts(counts, form)}{missing_note}",
        reason,
        missing,
        distinct=len(known_counts),
    )


def _counts(cells: AnyCells, form: CellFormat) -> Counter[bytes]:
    """Return the number of rows of each text; words of equal truth are one text."""
    if cells.dtype != object:
        return parse_texts(cells, form).counts()
    counts = raw.distinct_of(cells).counts()
    if form.kind != "boolean":
        return counts
    merged = Counter[bytes]()
    for cell, count in counts.items():
        merged[cell_formats.parse_boolean(cell, form)] += count
    return merged


def _describe_texts(counts: Counter[bytes], form: CellFormat) -> str:
    known = [cell for cell in counts if not is_missing(cell)]
    if form.kind == "boolean":
        return f"boolean ({form.true!r} or {form.false!r})"
    return f"{len(known)} categories{_differ_in_case(counts)}"


def _differ_in_case(cells: Iterable[bytes]) -> str:
    """Return a remark on categories that differ only in case."""
    groups: dict[str | None, list[bytes]] = {}
    for cell in sorted(cells):
        if not is_missing(cell):
            groups.setdefault(normalized(cell), []).append(cell)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return ""
    alike = " and ".join(repr(cell_text(cell)) for cell in several[0][:MAX_LISTED_CELLS])
    more = f" and {len(several) - 1} more such groups" if len(several) > 1 else ""
    return f" ({alike} are different categories{more}: write them alike)"


def parse_texts(cells: AnyCells, form: CellFormat, labels: Sequence[str] = ()) -> Distinct:
    """Convert cells to UTF-8 bytes; b"" for missing ones, one text for all words of a boolean."""
    if labels:
        numbers = np.asarray(cells).tolist()
        texts = [labels[number].encode() if number >= 0 else b"" for number in numbers]
    elif cells.dtype == object:
        values, codes = raw.distinct_of(cells)
        known = [b"" if is_missing(text) else text for text in values]
        if form.kind == "boolean":
            known = [cell_formats.parse_boolean(text, form) for text in known]
        return Distinct(np.array([*known, None], object)[:-1], codes)
    else:
        texts = cells_as_bytes(cells)
        if form.kind == "boolean":
            texts = [cell_formats.parse_boolean(text, form) for text in texts]
    return raw.distinct_of(Cells.of(texts))


def cell_text(cell: object) -> str:
    """Return a cell as text for a message."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def unreadable_cell_notes(
    table: Table,
    features: Mapping[str, ParsedColumn],
    forms: Mapping[str, CellFormat],
    categories: Mapping[str, Collection[bytes]],
) -> Iterator[str]:
    """Yield notes on unreadable cells of a table and on categories unknown to training."""
    for name, form in forms.items():
        if form.kind in ("text", "list"):
            continue
        column = features[name]
        if isinstance(column, Distinct) or column.dtype == object:
            distinct = column if isinstance(column, Distinct) else raw.distinct_of(column)
            unknown = {cell for cell in distinct.values if cell} - {*categories[name]}
            rows = np.flatnonzero(distinct.map(unknown.__contains__, "bool"))
            problem = "unknown to training"
        else:
            rows = cell_formats.unparsable_rows(table.columns[name], column, form)
            problem = f"not a {form.noun} and counted as missing"
        if len(rows):
            yield f"column {name}: {describe_cells(table, name, rows)} {problem}"


def describe_cells(table: Table, name: str, rows: np.ndarray) -> str:
    """Describe a few cells and their rows, for a note."""
    examples: dict[bytes, int] = {}
    for row in rows[:MAX_SEARCHED_CELLS]:
        if len(examples) < MAX_LISTED_CELLS:
            examples.setdefault(table.columns[name][int(row)], int(row))
    quoted = ", ".join(
        f"{cell_text(cell)!r} ({table.where(row)})" for cell, row in examples.items()
    )
    is_one = len(rows) == 1
    return f"{len(rows):,} cell{'s' * (not is_one)} such as {quoted} {'is' if is_one else 'are'}"
