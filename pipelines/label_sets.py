"""Find the classes in a column whose cells list any number of them, such as a|b or ["a", "b"]."""

import ast
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.labels import Labels, distinct_cells, labels_of_counts
from pipelines.tables.list_forms import SEPARATORS, ListForm, is_bracketed
from pipelines.tables.missing import BLANK_CHARACTERS, is_missing
from pipelines.tables.table import Table

MAX_SAMPLED_CELLS = 20_000  # distinct cells that show the separator
SCALARS = (str, int, float)


class LabelLists(NamedTuple):
    """The labels of the rows of one table.

    Attributes:
        lists: the labels of each distinct cell as bytes; None for a cell without a known list.
        codes: for each row the position of its cell in `lists`.

    """

    lists: Sequence[list[bytes] | None]
    codes: np.ndarray

    def counts(self) -> Counter[bytes]:
        """Return the number of rows that have each label."""
        rows = np.bincount(self.codes, minlength=len(self.lists)).tolist()
        counts = Counter[bytes]()
        for labels, count in zip(self.lists, rows, strict=True):
            counts.update(dict.fromkeys(labels or (), count))
        return counts


class ListReader(NamedTuple):
    """How the lists of a target column are written.

    Attributes:
        column: its name.
        separator: between the labels of a cell that is not in brackets.
        has_brackets: whether a cell of the training table is in brackets, so that the empty list
            is `[]`, and an empty cell is a missing value.
        all_brackets: whether all cells that are not empty are in brackets.

    """

    column: str
    separator: str = SEPARATORS[0].decode()
    has_brackets: bool = True
    all_brackets: bool = True

    @classmethod
    def of(cls, train: Table, column: str) -> "ListReader":
        """Return the reader for a column of the training table."""
        if column in train.lists:
            return cls(column)
        cells = [cell.strip() for cell in distinct_cells(train.columns[column]).values.tolist()]
        plain = [cell for cell in cells if cell and not is_bracketed(cell)]
        has_brackets = any(map(is_bracketed, cells))
        separator = find_separator(plain[:MAX_SAMPLED_CELLS])
        return cls(column, separator, has_brackets, not plain)

    def read(self, table: Table) -> LabelLists:
        """Return the labels of each row of a table."""
        if self.column in table.lists:
            rows = table.lists[self.column].to_pylist()
            return LabelLists([_as_bytes(row) for row in rows], np.arange(len(rows)))
        distinct = distinct_cells(table.columns[self.column])
        lists = [self._list_of(cell) for cell in distinct.values]
        # A table without any label, such as the test set of a competition, is not labelled.
        return LabelLists(lists if any(lists) else [None] * len(lists), distinct.codes)

    def _list_of(self, cell: bytes) -> list[bytes] | None:
        if not cell.decode("utf-8", "replace").strip(BLANK_CHARACTERS):
            return None if self.has_brackets else []
        if is_missing(cell):
            return None
        if not is_bracketed(cell):
            return ListForm(self.separator, False).split(cell)
        items = _parsed(cell)
        return ListForm(",", True).split(cell) if items is None else _as_bytes(items)

    def empty_note(self) -> str:
        """Return how rows without a class are written, for the user."""
        if self.has_brackets:
            return "their list is empty"
        return "their cell is empty; write NA if the classes are unknown, to leave such rows out"


class LabelSets(NamedTuple):
    """The classes of a column of lists.

    Attributes:
        labels: the classes; its cells are the labels in the lists.
        max_labels: the largest number of classes of one row.

    """

    labels: Labels
    max_labels: int

    @classmethod
    def of(cls, parts: Iterable[LabelLists], names: tuple[str, ...] = ()) -> "LabelSets":
        """Find the classes of the lists of each table; `names` are those of class numbers."""
        parts = [*parts]
        labels = Labels.of(names) if names else labels_of_counts([part.counts() for part in parts])
        sets = (_numbers(one, labels) for part in parts for one in part.lists)
        return cls(labels, max(map(len, filter(None, sets)), default=0))

    def targets(self, lists: LabelLists) -> tuple[np.ndarray, np.ndarray]:
        """Return 1 for each class of each row, uint8 [n, classes], and which rows have a list."""
        targets = np.zeros((len(lists.lists), len(self.labels.names)), "uint8")
        known = np.ones(len(lists.lists), bool)
        for row, one in enumerate(lists.lists):
            numbers = _numbers(one, self.labels)
            known[row] = numbers is not None
            targets[row, [*(numbers or ())]] = 1
        return targets[lists.codes], known[lists.codes]


def find_separator(cells: Sequence[bytes]) -> str:
    """Return the separator that splits the cells into the fewest distinct labels.

    So the comma of `Crime, Noir|Drama` is a part of a label. Of equally good ones the first of
    SEPARATORS is returned.
    """
    occurring = [one for one in SEPARATORS if any(one in cell for cell in cells)] or SEPARATORS[:1]

    def num_labels(separator: bytes) -> int:
        form = ListForm(separator.decode(), False)
        return len({label for cell in cells for label in form.split(cell)})

    return min(occurring, key=num_labels).decode()


def strata(targets: np.ndarray) -> np.ndarray:
    """Return one class for each target, by which examples are split.

    A class number is its own stratum. Of a row of 0 and 1 [n, classes] it is the rarest class;
    rows without a class are a stratum of their own.
    """
    if targets.ndim == 1:
        return targets
    order = np.argsort(targets.sum(0, dtype="int64"), kind="stable")
    rarest = order[targets[:, order].argmax(1)]
    return np.where(targets.any(1), rarest, targets.shape[1])


def _numbers(labels: list[bytes] | None, classes: Labels) -> set[int] | None:
    """Return the class numbers of a list; None if it is unknown, or if all its labels are."""
    if not labels:
        return None if labels is None else set()
    numbers = {number for one in labels if (number := classes.class_of_cell.get(one)) is not None}
    return numbers or None


def _parsed(cell: bytes) -> list[Any] | None:
    """Return a list of JSON or of Python; None for other texts."""
    text = cell.decode("utf-8", "replace").strip()
    for parse in (json.loads, ast.literal_eval):
        try:
            items = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(items, list):
            return items
    return None


def _as_bytes(items: list[Any] | None) -> list[bytes] | None:
    """Return the values of a list as labels: numbers as in a table, true and false for booleans.

    Raises DataError for a list in a list.
    """
    if items is None:
        return None
    known = [item for item in items if item is not None and item == item]
    for item in known:
        if not isinstance(item, SCALARS):
            raise DataError(
                f"Received a list of classes that holds {str(item)[:60]!r}; expected texts, "
                'numbers or booleans, such as ["a", "b"]. Write one flat list in each cell.'
            )
    return [label for item in known if (label := _label(item))]


def _label(item: Any) -> bytes:
    if isinstance(item, bool):
        return b"true" if item else b"false"
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    return str(item).strip(BLANK_CHARACTERS).encode("utf-8", "replace")
