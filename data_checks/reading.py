"""What reading refuses or leaves out, with its lines."""

from collections.abc import Iterator, Sequence

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, Finding, Lost, Shown, counted, graded
from pipelines.examples import DataError
from pipelines.inspection import Look
from pipelines.tables.table import Table

BROKEN = 0.05  # of the lines: the file is probably cut or written wrongly


def refused(error: DataError) -> Iterator[Finding]:
    """Training would end with this error."""
    text = " ".join(str(error).split())
    yield Finding("refused by training", "grave", text, "Training does not begin with these data.")


def broken_lines(subject: Subject) -> Iterator[Finding]:
    """Lines of a file that have another number of cells than its first."""
    yield from lines_of(subject.look)


def lines_of(look: Look) -> Iterator[Finding]:
    """As `broken_lines`, where nothing but reading was done."""
    if look.tables is None:
        return
    tables = [
        (split, table)
        for split in ("train", "valid", "test")
        if (table := getattr(look.tables, split)) is not None and table.broken
    ]
    for split, table in tables:
        share = len(table.broken) / (len(table) + len(table.broken))
        lost = [Lost(split, f"{table.name} line {line}") for line, _ in table.broken]
        yield Finding(
            "broken lines",
            graded(share, grave=BROKEN),
            f"{counted(len(lost), 'line has', 'lines have')} not {len(table.columns)} cells, as "
            "the first has; training leaves them out",
            "Mend them: a separator within a text has to stand in quotes.",
            len(lost),
            share,
            [
                Shown(split, one.where, counted(count, "cell"))
                for one, (_, count) in zip(lost[:MOST_SHOWN], table.broken, strict=False)
            ],
            lost=lost,
        )


def left_out(
    table: Table, split: str, which: Sequence[int] | np.ndarray, check: str, said: str, advice: str
) -> Iterator[Finding]:
    """A finding of rows of a table that training leaves out."""
    if not len(which):
        return
    share = len(which) / max(1, len(table))
    lost = [Lost(split, table.where(int(row))) for row in which]
    yield Finding(
        check,
        graded(share, grave=0.5),
        f"{counted(len(which), 'row')} {said}; training leaves them out",
        advice,
        len(which),
        share,
        [Shown(split, one.where) for one in lost[:MOST_SHOWN]],
        lost=lost,
    )
