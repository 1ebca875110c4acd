"""Checks of tables: unreadable cells, useless or leaking columns, shifts between train and test."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Check, CheckedData
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence, counted, severity_of
from data_checks.reading import skipped_rows
from data_checks.rows.columns import column_finding, columns, kinds_of, quoted
from data_checks.rows.near_duplicates import pairs
from data_checks.targets import is_outlier
from pipelines.rows.packing import MATRICES
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

MISSING_CODES = (-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)
MAX_SHIFT = 0.35  # Kolmogorov-Smirnov distance of train and test
MIN_VALUES = 50  # for a comparison of two distributions
MAX_COMPARED = 20_000  # values of each column


def cells(data: CheckedData) -> Iterator[Finding]:
    """Rows without a target; cells of number columns that cannot be read as numbers."""
    for split, table, used in data.sources():
        skipped = np.setdiff1d(np.arange(len(table)), used)
        yield from skipped_rows(
            table, split, skipped, "missing targets", "without a target", "Fill it in."
        )
        for name, form in data.splits.reading.forms.items():
            if not form.is_text:
                yield from _unreadable(table, split, name, form)


def _unreadable(table: Table, split: str, name: str, form: CellFormat) -> Iterator[Finding]:
    column = table.columns[name]
    unreadable = unparsable_rows(column, parse_numbers(column, form), form)
    if len(unreadable):
        share = len(unreadable) / len(column)
        yield Finding(
            "cells that are no numbers",
            "warning",
            f"{counted(len(unreadable), 'cell')} of the column {name} cannot be read as a "
            f"{form.noun}, such as {quoted(column[unreadable[0]])}; they count as missing",
            "Correct them, or leave the cell empty if the value is unknown.",
            len(unreadable),
            share,
            [
                Occurrence(split, table.where(int(k)), quoted(column[k]))
                for k in unreadable[:MAX_OCCURRENCES]
            ],
        )


def categories(data: CheckedData) -> Iterator[Finding]:
    """Test categories that train lacks; categories that differ by case or spaces alone."""
    train, test = data.numbers_of("train"), data.numbers_of("test")
    for name, kind in kinds_of(data).items():
        if kind != "category":
            continue
        column = data.column(name)
        in_train = set(column[train].tolist())
        unseen = np.array([k for k in test if column[k] not in in_train], "int64")
        if len(unseen):
            share = len(unseen) / len(test)
            # Good-Turing: the share of categories seen once estimates the share still unseen.
            counts = np.unique(column[train].astype("S"), return_counts=True)[1]
            chance = 1.5 * float((counts == 1).sum()) / len(train)
            names = sorted(set(column[unseen].tolist()))
            yield Finding(
                "categories unseen in train",
                severity_of(share, error=max(0.5, 3 * chance), warning=chance),
                f"{counted(len(names), 'category', 'categories')} of {name} in test "
                f"{'is' if len(names) == 1 else 'are'} not in train, such as {quoted(names[0])}",
                "The model treats them as unknown. Were train and test written the same way?",
                len(unseen),
                share,
                data.occurrences(unseen),
            )
        yield from _spellings(name, in_train | set(column[test].tolist()))


def _spellings(name: str, names: set[bytes]) -> Iterator[Finding]:
    alike = defaultdict(list)
    for category in names:
        plain = "".join(category.decode("utf-8", "replace").casefold().split())
        alike[plain.strip(".,;")].append(category)
    groups = [sorted(spellings) for spellings in alike.values() if len(spellings) > 1]
    if groups:
        yield Finding(
            "categories written in several ways",
            "warning",
            f"{counted(len(groups), 'category', 'categories')} of {name} "
            f"{'is' if len(groups) == 1 else 'are'} written in several ways: "
            + " and ".join(map(quoted, groups[0])),
            "Use one spelling for each.",
            len(groups),
            len(groups) / len(alike),
            [
                Occurrence("", name, " / ".join(map(quoted, spellings)))
                for spellings in groups[:MAX_OCCURRENCES]
            ],
        )


def outliers(data: CheckedData) -> Iterator[Finding]:
    """Outliers, and numbers that are probably missing-value codes."""
    for name, kind in kinds_of(data).items():
        if MATRICES[kind] != "numbers":
            continue
        column = data.column(name).astype("float64")
        outlying = np.flatnonzero(is_outlier(column))
        code = _missing_code(column)
        if code is not None:
            coded = np.flatnonzero(column == code)
            yield Finding(
                "missing-value codes",
                "warning",
                f"{counted(len(coded), 'cell')} of {name} {'is' if len(coded) == 1 else 'are'} "
                f"{code:g}, apart from all others",
                "If it means unknown, leave the cell empty.",
                len(coded),
                len(coded) / len(column),
                data.occurrences(coded),
            )
            outlying = outlying[column[outlying] != code]
        if len(outlying):
            yield Finding(
                "outliers",
                "warning",
                f"{counted(len(outlying), 'cell')} of {name} "
                f"{'is' if len(outlying) == 1 else 'are'} far from all others, such as "
                f"{column[outlying[0]]:g}; the median is {np.nanmedian(column):g}",
                "Check their unit and the decimal point.",
                len(outlying),
                len(outlying) / len(column),
                data.occurrences(outlying),
                outlying[data.used_in_training[outlying]],
            )


def _missing_code(column: np.ndarray) -> float | None:
    """Return a common missing-value code that lies far outside the range of all other numbers."""
    known = column[np.isfinite(column)]
    for code in MISSING_CODES:
        coded = known == code
        rest = known[~coded]
        if coded.sum() < 2 or len(np.unique(rest)) < 10:
            continue
        low, high = np.quantile(rest, [0.01, 0.99])
        width = max(high - low, 1e-9)
        gap = rest.min() - code if code < rest.min() else code - rest.max()
        outside = code < rest.min() or code > rest.max()
        below_zero = code < 0 <= rest.min() and code <= -9
        if outside and (gap > width or below_zero):
            return code
    return None


def drift(data: CheckedData) -> Iterator[Finding]:
    """Number columns whose distribution differs between train and test."""
    from scipy.stats import ks_2samp

    train, test = data.numbers_of("train"), data.numbers_of("test")
    if len(test) < MIN_VALUES:
        return
    for name, kind in kinds_of(data).items():
        if MATRICES[kind] != "numbers":
            continue
        column = data.column(name)
        parts = [_thinned(values[np.isfinite(values)]) for values in (column[train], column[test])]
        if min(map(len, parts)) < MIN_VALUES:
            continue
        distance = float(ks_2samp(*parts).statistic)
        medians = [float(np.median(part)) for part in parts]
        if distance >= MAX_SHIFT:
            yield column_finding(
                "columns shifted",
                severity_of(distance, error=0.9),
                name,
                f"differs between train and test: median {medians[0]:g} and {medians[1]:g}",
                "Is the unit the same? Was a sorted file split in the middle?",
                distance,
            )


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return at most MAX_COMPARED values, spread evenly over the file."""
    return values[:: -(-len(values) // MAX_COMPARED) or 1]


def near(data: CheckedData) -> Iterator[Finding]:
    """Rows that differ in one column alone, or by rounding."""
    _, first = np.unique(data.hashes, return_index=True)
    first.sort()
    by_name = {name: data.column(name)[first] for name in kinds_of(data)}
    similar = pairs(
        by_name, lambda done, total: data.inspection.progress("comparing rows", done, total)
    )
    yield from duplicates.near_copies(data, first[similar.rounded], "equal up to rounding")
    yield from _but_one(data, first[similar.but_one])


def _but_one(data: CheckedData, pairs: np.ndarray) -> Iterator[Finding]:
    """Report rows that differ in one column: normal in a designed experiment, else often copies."""
    crossing = pairs[data.split[pairs[:, 0]] != data.split[pairs[:, 1]]]
    numbers = np.unique(crossing)
    tested = numbers[data.split[numbers] == 2]
    if not len(numbers):
        return
    yield Finding(
        "rows that differ in one column",
        "warning",
        f"{counted(len(tested), 'test row differs', 'test rows differ')} in one column alone from "
        "a row of train or validation",
        "If they describe one object (a person, a place, a batch), test on objects that train "
        "lacks: pass them as --test.",
        max(1, len(tested)),
        len(tested) / max(1, len(data.splits.test)),
        data.occurrences(crossing[: MAX_OCCURRENCES // 2].ravel()),
    )


def leakage(data: CheckedData) -> Iterator[Finding]:
    """Single columns that predict the target of unseen rows almost perfectly."""
    by_name = {name: data.column(name) for name in kinds_of(data)}
    classes = bool(data.splits.labels)
    error = target_leakage.CLASS_ERROR_SCORE if classes else target_leakage.ERROR_R2
    for column, score in target_leakage.leaking_columns(by_name, data.targets, classes):
        yield column_finding(
            "target leakage",
            severity_of(score, error=error),
            column,
            f"alone corrects {score:.1%} of the majority class's errors"
            if classes
            else f"alone explains {score:.1%} of the target's variance",
            "Is its value known before the target is? If it follows from the target, exclude it "
            "with --drop.",
            score,
        )


CHECKS: tuple[Check, ...] = (cells, columns, categories, outliers, drift, near, leakage)
