"""Find the classes in the cells of a column: 1 and 1.0 are one class, NA is a missing value."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.booleans import boolean_texts, truth_of
from pipelines.tables.cell_formats import format_time
from pipelines.tables.cells import AnyCells, Cells, Distinct, numbers_of
from pipelines.tables.missing import is_missing, missing_words_of_labels

NUM_NAMED = 5


class Labels(NamedTuple):
    """The classes of a column.

    Attributes:
        names: class names: numbers by size, then texts in alphabetical order.
        class_of_cell: the class number of each distinct cell.
        missing: the distinct cells that are missing values.
        notes: lines for the user.

    """

    names: tuple[str, ...]
    class_of_cell: Mapping[bytes, int]
    missing: tuple[bytes, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Labels":
        """Make the classes of a column of class numbers whose names are known."""
        return cls(names, {b"%d" % number: number for number in range(len(names))}, (), ())

    def numbers(self, column: AnyCells) -> np.ndarray:
        """Return the class number of each cell, int64 [n]; -1 for a missing class."""
        return distinct_cells(column).map(lambda cell: self.class_of_cell.get(cell, -1), "int64")

    def missing_words_note(self) -> str:
        """Return the words that count as missing, for a note."""
        words = [repr(cell.decode("utf-8", "replace")) for cell in self.missing if cell.strip()]
        more = ", ..." * (len(words) > NUM_NAMED)
        return f" ({', '.join(words[:NUM_NAMED])}{more})" if words else ""


def find_labels(columns: Iterable[AnyCells]) -> Labels:
    """Find the classes of a column, given its part of each table."""
    return labels_of_counts([distinct_cells(column).counts() for column in columns])


def labels_of_counts(counts_of_tables: Sequence[Counter[bytes]]) -> Labels:
    """Find the classes among the cells of each table, given their numbers of rows."""
    counts = sum(counts_of_tables, Counter[bytes]())
    words = missing_words_of_labels({_text(cell): count for cell, count in counts.items()})
    missing = sorted(cell for cell in counts if is_missing(cell, words))
    groups = _grouped(sorted(counts.keys() - set(missing)), counts)
    class_of_cell = {cell: number for number, group in enumerate(groups) for cell in group}
    names = tuple(_text(group[0]) for group in groups)
    notes = [
        *_group_note("labels that mean the same are one class", groups),
        *_lookalike_note(names),
    ]
    if unseen := [
        name
        for name, group in zip(names, groups, strict=True)
        if not counts_of_tables[0].keys() & group
    ]:
        more = ", ..." * (len(unseen) > NUM_NAMED)
        quoted = ", ".join(map(repr, unseen[:NUM_NAMED])) + more
        notes.append(f"no row of train has the class{'es' * (len(unseen) > 1)} {quoted}")
    return Labels(names, class_of_cell, tuple(missing), tuple(notes))


def _lookalike_note(names: Sequence[str]) -> Iterator[str]:
    """Yield a note on classes whose names differ only in case or Unicode form."""
    groups = dict[str, list[bytes]]()
    for name in names:
        groups.setdefault(unicodedata.normalize("NFKC", name).casefold(), []).append(name.encode())
    yield from _group_note("labels that look alike are different classes", [*groups.values()])


def _group_note(title: str, groups: Sequence[Sequence[bytes]]) -> Iterator[str]:
    """Yield a note on groups of several cells, if there are any."""
    several = [group for group in groups if len(group) > 1]
    if several:
        quoted = (
            " and ".join(repr(_text(cell)) for cell in group) for group in several[:NUM_NAMED]
        )
        yield f"{title}: {'; '.join(quoted)}" + "; ..." * (len(several) > NUM_NAMED)


def _grouped(cells: list[bytes], counts: Mapping[bytes, int]) -> list[list[bytes]]:
    """Group the cells by class, the shortest cell first.

    If all cells are numbers, equal numbers are one class. If all are booleans such as yes and no,
    words of equal truth are one class.
    """
    values = raw.numbers_in(cells)
    order = sorted(zip(np.nan_to_num(values, nan=np.inf).tolist(), cells, strict=True))
    truths = boolean_texts({cell: counts[cell] for cell in cells}) is not None
    if not truths and not np.isfinite(values).all():
        return [[cell] for _, cell in order]
    groups: dict[float | Decimal | None, list[bytes]] = {}
    for value, cell in order:
        groups.setdefault(truth_of(cell) if truths else _exact(cell, value), []).append(cell)
    return [
        sorted(group, key=lambda cell: (len(cell), -counts[cell], cell))
        for group in groups.values()
    ]


def _exact(cell: bytes, value: float) -> float | Decimal:
    """Return the exact number of a cell: identifiers may have more digits than a float."""
    try:
        return Decimal(_text(cell).strip())
    except InvalidOperation:
        return value


def distinct_cells(column: AnyCells) -> Distinct:
    """Return the distinct cells of a column as bytes; numbers as `cells_as_bytes` writes them."""
    return raw.distinct_of(column if column.dtype == object else Cells.of(cells_as_bytes(column)))


def cells_as_bytes(column: AnyCells) -> list[bytes]:
    """Return cells as UTF-8 bytes: numbers in full precision, 7.0 as 7, NaN as b""."""
    if column.dtype == object:
        return column.tolist()
    if column.dtype.kind == "M":
        return [format_time(days).encode() for days in numbers_of(column)]
    encoded = {value: _digits(value) for value in np.unique(column)}
    return [encoded.get(value, b"") for value in column]


def _digits(value: Any) -> bytes:
    if not np.isfinite(value):
        return b""
    return b"%d" % int(value) if value == np.round(value) else str(value).encode()


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")
