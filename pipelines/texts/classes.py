"""Read the class column of texts: a class in each cell, or a list of any number of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.label_sets import LabelLists, LabelSets, ListReader
from pipelines.labels import Labels, find_labels
from pipelines.tables.cells import AnyCells, distinct_of
from pipelines.tables.list_forms import are_lists
from pipelines.tables.table import Table, Tables

UNKNOWN = -1
MAX_CLASSES = 1000
SEVERAL = " If each cell lists several classes, add --multilabel."


class Targets(NamedTuple):
    """The targets of a table's rows, and which of them are known."""

    values: np.ndarray
    known: np.ndarray


class Classes(NamedTuple):
    """The classes of a target column.

    Attributes:
        names: of the classes.
        notes: lines for the user.
        unknown: what rows lack that are left out, for a note.
        missing: the words that count as a missing class, for a note.
        targets: reads class numbers [n] of a table, or 0 and 1 [n, classes].

    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    unknown: str
    missing: str
    targets: Callable[[Table], Targets]


def single_classes(tables: Tables, target: str) -> Classes:
    """Find the classes; those of a file are sorted, by value if all are numbers.

    Raises DataError if the column holds no classes.
    """
    labels = _labels(tables, target)

    def targets(table: Table) -> Targets:
        numbers = labels.numbers(_cells(table, target))
        return Targets(numbers, numbers != UNKNOWN)

    words = labels.missing_words_note()
    return Classes(labels.names, labels.notes, "without a class", words, targets)


def class_lists(tables: Tables, target: str) -> Classes:
    """Find the classes of cells that list any number of them.

    Raises DataError if no cell lists two, or if they are too many or too few.
    """
    train = tables.train
    reader = ListReader.of(train, target)
    lists = {id(table): reader.read(table) for table in tables if isinstance(table, Table)}
    sets = LabelSets.of(lists.values(), train.labels.get(target, ()))
    labels = sets.labels
    _require_lists(sets, lists[id(train)], target)
    _require_few(labels, sum(one.counts().total() for one in lists.values()), target)

    def targets(table: Table) -> Targets:
        return Targets(*sets.targets(lists[id(table)]))

    notes = (*_list_notes(reader, targets(train)), *labels.notes)
    words = labels.missing_words_note()
    return Classes(labels.names, notes, "whose classes are unknown", words, targets)


def _cells(table: Table, target: str) -> AnyCells:
    cells = table.columns[target]
    return np.where(cells == UNKNOWN, np.nan, cells) if cells.dtype.kind in "iu" else cells


def _labels(tables: Tables, target: str) -> Labels:
    if target in tables.train.labels:
        return Labels.of(tables.train.labels[target])
    columns = [one for one in tables.each(lambda table: _cells(table, target)) if one is not None]
    labels = find_labels(columns)
    rows = sum(int((labels.numbers(column) != UNKNOWN).sum()) for column in columns)
    _require_few(labels, rows, target, _hint(columns[0]))
    return labels


def _hint(column: AnyCells) -> str:
    """Return a remedy if the cells of a column look like lists."""
    distinct = distinct_of(column) if column.dtype == object else None
    if distinct is None:
        return ""
    cells, counts = distinct.values.tolist(), np.bincount(distinct.codes).tolist()
    return SEVERAL if are_lists(cells, counts) else ""


def _require_few(labels: Labels, occurrences: int, target: str, hint: str = "") -> None:
    """Raise DataError unless a column has several classes that repeat."""
    count = len(labels.names)
    if not 2 <= count <= MAX_CLASSES:
        raise DataError(
            f"Received {count} different values in the column {target!r}; expected 2 "
            f"to {MAX_CLASSES} classes. Name another column with --target.{hint}"
        )
    if count > max(2, occurrences / 2):  # these are ids or titles
        raise DataError(
            f"Received {count} classes of {occurrences} rows in the column {target!r}, such as "
            f"{labels.names[0]!r}; expected two rows of each or more. Name another column with "
            f"--target.{hint}"
        )


def _require_lists(sets: LabelSets, train: LabelLists, target: str) -> None:
    if sets.max_labels < 2:
        example = next((one[0] for one in train.lists if one), b"").decode("utf-8", "replace")
        raise DataError(
            f"Received --multilabel and the column {target!r}, in which no cell lists two classes "
            f'(such as {example!r}); expected lists such as a|b, a;b, "a, b" or '
            '["a", "b"]. Leave out --multilabel, or name another column with --target.'
        )


def _list_notes(reader: ListReader, train: Targets) -> list[str]:
    counts = train.values[train.known].sum(1, dtype="int64")
    separated = "" if reader.all_brackets else f", separated by {reader.separator!r}"
    notes = [
        f"each cell of {reader.column!r} lists classes{separated}: {counts.mean():.2f} on average, "
        f"at most {counts.max()}"
    ]
    if empty := int((counts == 0).sum()):
        notes.append(f"{empty} rows of train have no class: {reader.empty_note()}")
    return notes
