"""Rows: cells that cannot be read, columns that say nothing or too much, other data in test."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, Finding, Shown, counted, graded
from data_checks.reading import left_out
from data_checks.rows.columns import cell_said, columns, kinds_of, of_column
from data_checks.rows.near_duplicates import pairs
from data_checks.targets import far
from pipelines.tables.cell_formats import CellFormat, parse_numbers, unparsable_rows
from pipelines.tables.table import Table

__all__ = [
    "categories",
    "cells",
    "columns",
    "drift",
    "leakage",
    "near",
    "outliers",
]

SENTINELS = (-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)
SHIFTED = 0.35  # Kolmogorov and Smirnov's distance of train and test
ENOUGH = 50
MOST_COMPARED = 20_000  # numbers are enough to compare two columns


def cells(subject: Subject) -> Iterator[Finding]:
    """Rows without a target, cells that are no numbers in a column of numbers."""
    for split, table, kept in subject.reads():
        lost = np.setdiff1d(np.arange(len(table)), kept)
        yield from left_out(table, split, lost, "missing targets", "have no target", "Fill it in.")
        for name, form in subject.splits.reading.forms.items():
            if form.kind != "category":
                yield from _unread(table, split, name, form)


def _unread(table: Table, split: str, name: str, form: CellFormat) -> Iterator[Finding]:
    column = table.columns[name]
    odd = unparsable_rows(column, parse_numbers(column, form), form)
    if len(odd):
        share = len(odd) / len(column)
        yield Finding(
            "cells that are no numbers",
            "warning",
            f"{counted(len(odd), 'cell')} of the column {name} cannot be read as a {form.kind}, "
            f"such as {cell_said(column[odd[0]])}; they count as missing",
            "Mend them, or write nothing where nothing is known.",
            len(odd),
            share,
            [Shown(split, table.where(int(k)), cell_said(column[k])) for k in odd[:MOST_SHOWN]],
        )


def categories(subject: Subject) -> Iterator[Finding]:
    """Categories that test has and train has not; ones that differ by case or spaces."""
    train, test = subject.numbers("train"), subject.numbers("test")
    for name, kind in kinds_of(subject).items():
        if kind != "category":
            continue
        column = subject.column(name)
        known = set(column[train].tolist())
        unseen = np.array([k for k in test if column[k] not in known], "int64")
        if len(unseen):
            share = len(unseen) / len(test)
            # Good and Turing: what is there once tells how much is still unseen.
            counts = np.unique(column[train].astype("S"), return_counts=True)[1]
            chance = 1.5 * float((counts == 1).sum()) / len(train)
            found = sorted(set(column[unseen].tolist()))
            yield Finding(
                "categories unseen in train",
                graded(share, grave=max(0.5, 3 * chance), warning=chance),
                f"{counted(len(found), 'category', 'categories')} of {name} in test "
                f"{'is' if len(found) == 1 else 'are'} not in train, such as {cell_said(found[0])}",
                "They are answered as an unknown one. Were train and test written alike?",
                len(unseen),
                share,
                subject.shown(unseen),
            )
        yield from _spellings(name, known | set(column[test].tolist()))


def _spellings(name: str, known: set[bytes]) -> Iterator[Finding]:
    alike = defaultdict(list)
    for category in known:
        plain = "".join(category.decode("utf-8", "replace").casefold().split())
        alike[plain.strip(".,;")].append(category)
    same = [sorted(some) for some in alike.values() if len(some) > 1]
    if same:
        yield Finding(
            "categories written in several ways",
            "warning",
            f"{counted(len(same), 'category', 'categories')} of {name} "
            f"{'is' if len(same) == 1 else 'are'} written in several ways: "
            + " and ".join(map(cell_said, same[0])),
            "Write each in one way.",
            len(same),
            len(same) / len(alike),
            [Shown("", name, " / ".join(map(cell_said, some))) for some in same[:MOST_SHOWN]],
        )


def outliers(subject: Subject) -> Iterator[Finding]:
    """Numbers far from all others, and those that stand for unknown."""
    for name, kind in kinds_of(subject).items():
        if kind != "number":
            continue
        column = subject.column(name).astype("float64")
        which = np.flatnonzero(far(column))
        word = _sentinel(column)
        if word is not None:
            marked = np.flatnonzero(column == word)
            yield Finding(
                "numbers that mean unknown",
                "warning",
                f"{counted(len(marked), 'cell')} of {name} {'is' if len(marked) == 1 else 'are'} "
                f"{word:g}, apart from all others",
                "If it means unknown, leave the cell empty.",
                len(marked),
                len(marked) / len(column),
                subject.shown(marked),
            )
            which = which[column[which] != word]
        if len(which):
            yield Finding(
                "numbers far out",
                "warning",
                f"{counted(len(which), 'cell')} of {name} {'is' if len(which) == 1 else 'are'} far "
                f"from all others, such as {column[which[0]]:g}; the middle one is "
                f"{np.nanmedian(column):g}",
                "Check their unit and the decimal point.",
                len(which),
                len(which) / len(column),
                subject.shown(which),
                which[subject.trains[which]],
            )


def _sentinel(column: np.ndarray) -> float | None:
    """A usual word for unknown that lies beyond all other numbers, with a gap."""
    known = column[np.isfinite(column)]
    for word in SENTINELS:
        there = known == word
        rest = known[~there]
        if there.sum() < 2 or len(np.unique(rest)) < 10:
            continue
        low, high = np.quantile(rest, [0.01, 0.99])
        width = max(high - low, 1e-9)
        gap = rest.min() - word if word < rest.min() else word - rest.max()
        outside = word < rest.min() or word > rest.max()
        below_zero = word < 0 <= rest.min() and word <= -9
        if outside and (gap > width or below_zero):
            return word
    return None


def drift(subject: Subject) -> Iterator[Finding]:
    """Columns of numbers that are otherwise in test than in train."""
    from scipy.stats import ks_2samp

    train, test = subject.numbers("train"), subject.numbers("test")
    if len(test) < ENOUGH:
        return
    for name, kind in kinds_of(subject).items():
        if kind != "number":
            continue
        column = subject.column(name)
        parts = [_evenly(some[np.isfinite(some)]) for some in (column[train], column[test])]
        if min(map(len, parts)) < ENOUGH:
            continue
        apart = float(ks_2samp(*parts).statistic)
        middle = [float(np.median(part)) for part in parts]
        if apart >= SHIFTED:
            yield of_column(
                "columns shifted",
                graded(apart, grave=0.9),
                name,
                f"is otherwise in test than in train: usually {middle[1]:g}, not {middle[0]:g}",
                "Is the unit the same? Was a sorted file cut in the middle?",
                apart,
            )


def _evenly(values: np.ndarray) -> np.ndarray:
    """Enough of them, from wherever they lie in the file."""
    return values[:: -(-len(values) // MOST_COMPARED) or 1]


def near(subject: Subject) -> Iterator[Finding]:
    """Rows that differ in one column alone, or by a rounding."""
    _, first = np.unique(subject.hashes, return_index=True)
    first.sort()
    held = {name: subject.column(name)[first] for name in kinds_of(subject)}
    found = pairs(held, lambda done, of: subject.look.progress("comparing rows", done, of))
    yield from duplicates.near(subject, first[found.rounded], "the same but for a rounding")
    yield from _but_one(subject, first[found.but_one])


def _but_one(subject: Subject, pairs: np.ndarray) -> Iterator[Finding]:
    """Of an experiment such rows are the plan; of other tables they are often copies."""
    crossing = pairs[subject.split[pairs[:, 0]] != subject.split[pairs[:, 1]]]
    concerned = np.unique(crossing)
    held = concerned[subject.split[concerned] == 2]
    if not len(concerned):
        return
    yield Finding(
        "rows that differ in one column",
        "warning",
        f"{counted(len(held), 'test row differs', 'test rows differ')} in one column alone from a "
        "row of train or validation",
        "If they are of one object (a person, a place, a charge), judge on objects that train does "
        "not know: give them as --test.",
        max(1, len(held)),
        len(held) / max(1, len(subject.splits.test)),
        subject.shown(crossing[: MOST_SHOWN // 2].ravel()),
    )


def leakage(subject: Subject) -> Iterator[Finding]:
    """Columns that alone tell the target on rows that the rule was not learnt from."""
    held = {name: subject.column(name) for name in kinds_of(subject)}
    classes = bool(subject.splits.labels)
    grave = target_leakage.GIVEN_AWAY if classes else target_leakage.EQUAL
    for column, score in target_leakage.told(held, subject.targets, classes):
        yield of_column(
            "target given away",
            graded(score, grave=grave),
            column,
            f"alone tells the target: {score:.1%} of what the "
            f"{'majority' if classes else 'mean'} leaves open",
            "Is it known when the question is asked? If it follows from the answer, leave it out "
            "with --drop.",
            score,
        )
