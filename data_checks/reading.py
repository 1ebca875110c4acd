"""Findings about reading: data that training refuses, and lines that it skips."""

from collections.abc import Iterator, Sequence

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import (
    MAX_OCCURRENCES,
    Finding,
    Occurrence,
    UnreadExample,
    counted,
    severity_of,
)
from pipelines.examples import DataError
from pipelines.inspection import Inspection
from pipelines.tables.table import Table

MAX_BROKEN_SHARE = 0.05  # of the lines; beyond it the file is probably damaged


def refused(error: DataError) -> Iterator[Finding]:
    """Yield the error with which training would refuse the data."""
    text = " ".join(str(error).split())
    yield Finding("refused by training", "error", text, "Training cannot use these data.")


def broken_lines(data: CheckedData) -> Iterator[Finding]:
    """Lines whose number of cells differs from that of the first line."""
    yield from lines_of(data.inspection)


def lines_of(inspection: Inspection) -> Iterator[Finding]:
    """As `broken_lines`, for data of which nothing but the reading is known."""
    if inspection.tables is None:
        return
    tables = [
        (split, table)
        for split in ("train", "valid", "test")
        if (table := getattr(inspection.tables, split)) is not None and table.broken
    ]
    for split, table in tables:
        share = len(table.broken) / (len(table) + len(table.broken))
        lost = [UnreadExample(split, f"{table.name} line {line}") for line, _ in table.broken]
        yield Finding(
            "broken lines",
            severity_of(share, error=MAX_BROKEN_SHARE),
            f"{counted(len(lost), 'line has', 'lines have')} not {len(table.columns)} cells, as "
            "the first line has; training skips them",
            "Correct them: a text that contains the separator needs quotes.",
            len(lost),
            share,
            [
                Occurrence(split, one.where, counted(count, "cell"))
                for one, (_, count) in zip(lost[:MAX_OCCURRENCES], table.broken, strict=False)
            ],
            unread=lost,
        )


def skipped_rows(
    table: Table, split: str, which: Sequence[int] | np.ndarray, check: str, said: str, advice: str
) -> Iterator[Finding]:
    """Yield a finding about rows of a table that training skips."""
    if not len(which):
        return
    share, only_one = len(which) / max(1, len(table)), len(which) == 1
    lost = [UnreadExample(split, table.where(int(row))) for row in which]
    yield Finding(
        check,
        severity_of(share, error=0.5),
        f"{counted(len(which), 'row')} {said}; training leaves {'it' if only_one else 'them'} out",
        advice,
        len(which),
        share,
        [Occurrence(split, one.where) for one in lost[:MAX_OCCURRENCES]],
        unread=lost,
    )
