"""Checks of columns: constant, empty, row identifiers, mostly missing or duplicate."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, Occurrence
from pipelines.rows.column_kinds import (
    ALL_DISTINCT,
    ALL_MISSING,
    CONSTANT,
    MIN_ID_ROWS,
    cell_text,
)
from pipelines.rows.column_table import DROPPED, GROUP, IGNORED, TARGET
from pipelines.rows.packing import Kinds, of_matrix
from pipelines.tables.cell_formats import format_time, parse_numbers
from pipelines.tables.cells import AnyCells
from pipelines.tables.numeric_dates import (
    MAX_SECONDS,
    MIN_SECONDS,
    SECONDS_PER_DAY,
    SPREADSHEET,
    days_of,
    numeric_form,
)
from pipelines.tables.table import Table

MAX_MISSING_SHARE = 0.5  # of the rows
MAX_SHARE_OF_ONE_VALUE = 0.995  # of the rows
MAX_CATEGORIES_PER_ROW = 0.5
FIRST_DAY, LAST_DAY = MIN_SECONDS / SECONDS_PER_DAY, MAX_SECONDS / SECONDS_PER_DAY
COLUMNS_PER_BLOCK = 256  # columns compared with all others at once


def columns(data: CheckedData) -> Iterator[Finding]:
    """Columns that are constant, empty, row identifiers, mostly missing or duplicate."""
    kinds = kinds_of(data)
    _, table, _ = next(data.sources())
    for line in data.splits.column_table.lines:
        if line.unused_because in (DROPPED, IGNORED, GROUP, TARGET):
            continue
        if line.unused_because:
            yield _finding_of_unused_column(table, line.name, line.unused_because)
        else:
            yield from _findings_of_used_column(data, line.name, table.columns[line.name])
    yield from _duplicate_columns(data, kinds)


def _finding_of_unused_column(table: Table, name: str, reason: str) -> Finding:
    cells = table.columns[name]
    if reason == ALL_DISTINCT:
        return column_finding(
            "columns that identify rows",
            "warning",
            name,
            "has a different text in every row; training ignores it",
            "An identifier of one row does not help to predict other rows.",
        )
    if reason == ALL_MISSING:
        problem = "has only missing cells"
        return column_finding(
            "empty columns", "warning", name, problem, "Remove it, or fill it in."
        )
    if reason != CONSTANT:
        problem = f"has only rare categories: {reason}; training ignores it"
        advice = "Merge rare categories."
        return column_finding("columns of rare categories", "warning", name, problem, advice)
    problem = f"is {cell_text(cells[0])!r} in every row"
    return column_finding(
        "constant columns", "warning", name, problem, "Remove it: it has no information."
    )


def column_finding(
    check: str, severity: Any, name: str, problem: str, advice: str, share: float | None = None
) -> Finding:
    """Return a finding about one column."""
    return Finding(
        check,
        severity,
        f"the column {name} {problem}",
        advice,
        1,
        share,
        [Occurrence("", name, problem)],
    )


def _findings_of_used_column(data: CheckedData, name: str, raw: AnyCells) -> Iterator[Finding]:
    form = data.splits.reading.forms[name]
    column = data.column(name)
    texts = column.dtype == object
    missing = float((column == b"").mean() if texts else np.isnan(column).mean())
    if missing >= MAX_MISSING_SHARE:
        yield column_finding(
            "mostly missing columns",
            "warning",
            name,
            f"is missing in {missing:.0%} of the rows",
            "Fill it in, or exclude it with --drop.",
            missing,
        )
    values: Any
    if texts:
        values, occurrences = zip(*sorted(Counter(column.tolist()).items()), strict=True)
        counts = np.array(occurrences)
    else:
        values, counts = np.unique(column, return_counts=True)
    share = float(counts.max() / len(column))
    if share >= MAX_SHARE_OF_ONE_VALUE and missing < MAX_MISSING_SHARE:
        yield column_finding(
            "nearly constant columns",
            "note",
            name,
            f"is {quoted(values[counts.argmax()])} in {share:.1%} of the rows",
            "It can help to predict only the few other rows.",
            share,
        )
    if form.kind == "category" and len(values) >= max(MAX_CATEGORIES_PER_ROW * len(column), 20):
        yield column_finding(
            "columns that identify rows",
            "warning",
            name,
            f"has {len(values):,} categories in {len(column):,} rows",
            "Most categories have one or two rows: exclude it with --drop, or merge categories.",
        )
    if form.kind == "number" and _are_row_numbers(parse_numbers(raw, form)):
        yield column_finding(
            "columns that identify rows",
            "warning",
            name,
            "looks like a row number: whole numbers without repeats and with few gaps",
            "Exclude it with --drop: in a file sorted by the target it leaks the target.",
        )
    if form.kind == "number" and (dates := _numeric_dates(parse_numbers(raw, form))):
        yield column_finding(
            "dates as numbers",
            "note",
            name,
            f"holds numbers that look like dates ({dates.form}, {dates.range})",
            f"If they are dates, read them as such: --as {name}=date:{dates.form}",
        )


class NumericDates(NamedTuple):
    """What numbers that are dates count, and the first and the last date."""

    form: str
    range: str


def _numeric_dates(column: np.ndarray) -> NumericDates | None:
    """Return how whole numbers are dates of 1980 to 2100; None if one of them is none."""
    known = column[np.isfinite(column)]
    if len(known) < MIN_ID_ROWS or (known != np.round(known)).any():
        return None
    form = numeric_form(known)
    if not form or form == SPREADSHEET:  # most numbers of that size are no dates
        return None
    first, last = days_of(np.array([known.min(), known.max()]), form)
    if not (np.isfinite(days_of(known, form)).all() and FIRST_DAY <= first <= last < LAST_DAY):
        return None
    return NumericDates(form, f"{format_time(first // 1)} to {format_time(last // 1)}")


def _are_row_numbers(column: np.ndarray) -> bool:
    """Whether the numbers are whole and all different, with at most 20 % gaps in their range."""
    known = column[np.isfinite(column)]
    if len(known) < MIN_ID_ROWS or (known != np.round(known)).any():
        return False
    return bool(len(np.unique(known)) == len(known) and np.ptp(known) <= 1.2 * len(known))


def _duplicate_columns(data: CheckedData, kinds: Kinds) -> Iterator[Finding]:
    """Report pairs of columns that are equal up to unit and offset."""
    numbers = of_matrix(kinds, "numbers")
    if len(numbers) < 2:
        return
    sample = data.numbers_of("train")[:5000]
    values = np.stack([data.column(name)[sample].astype("float64") for name in numbers], 1)
    for first, second in _collinear(values):
        yield column_finding(
            "duplicate columns",
            "note",
            numbers[first],
            f"is a linear function of {numbers[second]}",
            "Exclude one of them with --drop.",
        )


def _collinear(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of columns of `values` [rows, n] with correlation 1 or -1 in common rows."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(0), 1)
    values = np.where(known, values, 0.0)
    values = np.where(known, values - values.sum(0) / count, 0.0)
    deviation = np.sqrt(np.square(values).sum(0) / count)
    values, known = values / np.where(deviation, deviation, 1.0), known.astype("float64")
    for start in range(0, values.shape[1], COLUMNS_PER_BLOCK):
        block = slice(start, start + COLUMNS_PER_BLOCK)
        # Each product sums over the rows where both columns of a pair are known.
        num_rows = known[:, block].T @ known
        sums = values[:, block].T @ known, known[:, block].T @ values
        squares = np.square(values[:, block]).T @ known, known[:, block].T @ np.square(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            first_variance, second_variance = (
                a - b**2 / num_rows for a, b in zip(squares, sums, strict=True)
            )
            covariance = values[:, block].T @ values - sums[0] * sums[1] / num_rows
            correlation = np.abs(covariance) / np.sqrt(first_variance * second_variance)
        varied = (num_rows >= 20) & (np.minimum(first_variance, second_variance) > 1e-9 * num_rows)
        for row, column in np.argwhere(varied & (correlation > 1 - 1e-6)).tolist():
            if column > start + row:
                yield start + row, column


def kinds_of(data: CheckedData) -> Kinds:
    """Return the kind, number or category, of each column that training uses."""
    return data.splits.train.kinds or {}


def quoted(cell: Any) -> str:
    """Return a cell as text for a message: texts in quotes."""
    return repr(cell.decode("utf-8", "replace")) if isinstance(cell, bytes) else f"{cell:g}"
