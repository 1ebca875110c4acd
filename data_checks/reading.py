"""Report problems of reading: data that training refuses, and lines that it skips."""

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
    """Yield what `broken_lines` yields, also for data that training refuses."""
    if inspection.tables is None:
        return
    tables = [
        (split, table)
        for split in ("train", "valid", "test")
        if (table := getattr(inspection.tables, split)) is not None and table.broken
    ]
    for split, table in tables:
        share = len(table.broken) / (len(table) + len(table.broken))
        unread = [UnreadExample(split, f"{table.name} line {line}") for line, _ in table.broken]
        yield Finding(
            "broken lines",
            severity_of(share, error=MAX_BROKEN_SHARE),
            f"{counted(len(unread), 'line has', 'lines have')} not {len(table.columns)} cells, as "
            "the first line has; training skips them",
            "Correct them: a text that contains the separator needs quotes.",
            len(unread),
            share,
            [
                Occurrence(split, example.where, counted(count, "cell"))
                for example, (_, count) in zip(unread[:MAX_OCCURRENCES], table.broken, strict=False)
            ],
            unread=unread,
        )


def skipped_rows(
    table: Table,
    split: str,
    skipped: Sequence[int] | np.ndarray,
    check: str,
    problem: str,
    advice: str,
) -> Iterator[Finding]:
    """Yield a finding about rows of a table that training skips."""
    if not len(skipped):
        return
    share, is_single = len(skipped) / max(1, len(table)), len(skipped) == 1
    unread = [UnreadExample(split, table.where(int(row))) for row in skipped]
    yield Finding(
        check,
        severity_of(share, error=0.5),
        f"{counted(len(skipped), 'row')} {problem}; "
        f"training leaves {'it' if is_single else 'them'} out",
        advice,
        len(skipped),
        share,
        [Occurrence(split, example.where) for example in unread[:MAX_OCCURRENCES]],
        unread=unread,
    )
