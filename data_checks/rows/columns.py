"""Columns that say nothing: constant, empty, identifying, mostly missing, or there twice."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import Finding, Shown
from pipelines.rows.column_kinds import (
    ALL_DISTINCT,
    ALL_MISSING,
    CONSTANT,
    MIN_ID_ROWS,
    cell_text,
    describe_column,
)
from pipelines.rows.column_names import clean_name
from pipelines.rows.packing import Kinds
from pipelines.tables.cell_formats import infer_format, parse_numbers
from pipelines.tables.cells import AnyCells
from pipelines.tables.table import Table

MOSTLY_MISSING = 0.5
MOSTLY_ONE = 0.995
MANY_CATEGORIES = 0.5  # as many categories as rows
COMPARED = 256  # columns at once with all others


def columns(subject: Subject) -> Iterator[Finding]:
    """Columns that are constant, empty, identifying, mostly missing, or there twice."""
    kinds = kinds_of(subject)
    _, table, _ = next(subject.reads())
    dropped = [clean_name(name) for name in getattr(subject.app, "drop", "").split(",") if name]
    target = clean_name(getattr(subject.app, "target", ""))
    for name, column in table.columns.items():
        if name in (*dropped, target):
            continue
        if name not in kinds:
            yield _unused(table, name)
        else:
            yield from _useless(subject, name, column)
    yield from _twice(subject, kinds)


def _unused(table: Table, name: str) -> Finding:
    cells = table.columns[name]
    why = describe_column(cells, infer_format(cells)).unusable_because
    if why == ALL_DISTINCT:
        return of_column(
            "columns that identify rows",
            "warning",
            name,
            "has another text in every row; training leaves it out",
            "A name of the row says nothing of others.",
        )
    if why == ALL_MISSING:
        said = "holds nothing but missing cells"
        return of_column("empty columns", "warning", name, said, "Remove it, or find its data.")
    if why != CONSTANT:
        said = f"has only rare categories: {why}; training leaves it out"
        advice = "Write fewer, wider categories."
        return of_column("columns of rare categories", "warning", name, said, advice)
    said = f"is {cell_text(cells[0])!r} in every row"
    return of_column("constant columns", "warning", name, said, "Remove it: it tells nothing.")


def of_column(
    check: str, severity: Any, name: str, said: str, advice: str, share: float | None = None
) -> Finding:
    """A finding of one column."""
    return Finding(
        check, severity, f"the column {name} {said}", advice, 1, share, [Shown("", name, said)]
    )


def _useless(subject: Subject, name: str, raw: AnyCells) -> Iterator[Finding]:
    form = subject.splits.reading.forms[name]
    column = subject.column(name)
    texts = column.dtype == object
    missing = float((column == b"").mean() if texts else np.isnan(column).mean())
    if missing >= MOSTLY_MISSING:
        yield of_column(
            "mostly missing columns",
            "warning",
            name,
            f"is missing in {missing:.0%} of the rows",
            "Find its data, or leave it out with --drop.",
            missing,
        )
    values: Any
    if texts:
        values, times = zip(*sorted(Counter(column.tolist()).items()), strict=True)
        counts = np.array(times)
    else:
        values, counts = np.unique(column, return_counts=True)
    share = float(counts.max() / len(column))
    if share >= MOSTLY_ONE and missing < MOSTLY_MISSING:
        yield of_column(
            "nearly constant columns",
            "note",
            name,
            f"is {cell_said(values[counts.argmax()])} in {share:.1%} of the rows",
            "It can tell of few rows.",
            share,
        )
    if texts and len(values) >= max(MANY_CATEGORIES * len(column), 20):
        yield of_column(
            "columns that identify rows",
            "warning",
            name,
            f"has {len(values):,} categories in {len(column):,} rows",
            "Nearly every row has its own: leave it out with --drop, or make something of it.",
        )
    if form.kind == "number" and _counts_rows(parse_numbers(raw, form)):
        yield of_column(
            "columns that identify rows",
            "warning",
            name,
            "numbers the rows: whole, all different, without a gap",
            "Leave it out with --drop: rows sorted by the target would give it away.",
        )


def _counts_rows(column: np.ndarray) -> bool:
    """Whether the numbers of a table are whole, all different and fill their range."""
    known = column[np.isfinite(column)]
    if len(known) < MIN_ID_ROWS or (known != np.round(known)).any():
        return False
    return bool(len(np.unique(known)) == len(known) and np.ptp(known) <= 1.2 * len(known))


def _twice(subject: Subject, kinds: Kinds) -> Iterator[Finding]:
    """Pairs of columns that are equal, or equal but for unit and zero."""
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    if len(numbers) < 2:
        return
    some = subject.numbers("train")[:5000]
    held = np.stack([subject.column(name)[some].astype("float64") for name in numbers], 1)
    for one, other in _alike(held):
        yield of_column(
            "columns that are there twice",
            "note",
            numbers[one],
            f"says the same as {numbers[other]}",
            "Leave one of them out with --drop.",
        )


def _alike(held: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of columns [rows, n] whose correlation is 1 or -1 where both are known."""
    known = np.isfinite(held)
    count = np.maximum(known.sum(0), 1)
    held = np.where(known, held, 0.0)
    held = np.where(known, held - held.sum(0) / count, 0.0)
    spread = np.sqrt(np.square(held).sum(0) / count)
    held, known = held / np.where(spread, spread, 1.0), known.astype("float64")
    for start in range(0, held.shape[1], COMPARED):
        block = slice(start, start + COMPARED)
        both = known[:, block].T @ known
        sums = held[:, block].T @ known, known[:, block].T @ held
        squares = np.square(held[:, block]).T @ known, known[:, block].T @ np.square(held)
        with np.errstate(invalid="ignore", divide="ignore"):
            one, other = (a - b**2 / both for a, b in zip(squares, sums, strict=True))
            common = held[:, block].T @ held - sums[0] * sums[1] / both
            correlation = np.abs(common) / np.sqrt(one * other)
        varied = (both >= 20) & (np.minimum(one, other) > 1e-9 * both)
        for row, column in np.argwhere(varied & (correlation > 1 - 1e-6)).tolist():
            if column > start + row:
                yield start + row, column


def kinds_of(subject: Subject) -> Kinds:
    """By column that training reads, whether it holds numbers or categories."""
    return subject.splits.train.kinds or {}


def cell_said(cell: Any) -> str:
    """A cell as people read it."""
    return repr(cell.decode("utf-8", "replace")) if isinstance(cell, bytes) else f"{cell:g}"
