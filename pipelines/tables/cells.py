"""A column of a file in little memory: the bytes of its cells, one after the other."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.tables.missing import ALWAYS, LONGEST, is_missing

BLOCK = 2**16  # cells that are Python objects at once
MOST_SHARED = 2**16  # distinct cells that are kept to share


class Cells:
    """The cells of a column as UTF-8 bytes, for reading; as an array it is one of objects.

    A million objects of a number each take ten times as much memory as their bytes. What
    is asked for by position becomes an array of objects, of which equal ones are shared.

    Args:
        content: the bytes of all cells.
        ends: where in it each ends.

    """

    dtype = np.dtype(object)

    def __init__(self, content: bytes, ends: np.ndarray) -> None:
        self.content = content
        self.readings: dict[Any, np.ndarray] = {}  # by how cells are read, what was read
        self.ends = ends.astype(np.min_scalar_type(len(content)))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.blocks())

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self._some(np.array([range(len(self))[rows]]))[0]
        return self.objects(np.arange(len(self))[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.objects(np.arange(len(self))).astype(dtype or object, copy=False)

    def tolist(self) -> list[bytes]:
        """All cells."""
        return list(self)

    def blocks(self) -> Iterator[list[bytes]]:
        """All cells, some at a time."""
        for start in range(0, len(self), BLOCK):
            yield self._some(np.arange(start, min(start + BLOCK, len(self))))

    def objects(self, rows: np.ndarray) -> np.ndarray:
        """The cells at these positions; equal ones are one object, unless there are too many."""
        found = np.empty(len(rows), object)
        shared: dict[bytes, bytes] = {}
        for start in range(0, len(rows), BLOCK):
            some = self._some(rows[start : start + BLOCK])
            if len(shared) < MOST_SHARED:
                some = list(map(shared.setdefault, some, some))
            found[start : start + BLOCK] = np.array([*some, None], object)[:-1]
        return found

    def _some(self, rows: np.ndarray) -> list[bytes]:
        ends = self.ends[rows]
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        content = self.content
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        return [content[start:end] for start, end in pairs]

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """The cells as float64, NaN where one is no number."""
        plain = b"_" not in self.content
        parts = [numbers_in(some, plain=plain) for some in self.blocks()]
        return np.concatenate(parts) if parts else np.empty(0)

    def missing(self, words: frozenset[str] = ALWAYS) -> np.ndarray:
        """Which cells say that nothing is known."""
        short = np.flatnonzero(np.diff(self.ends, prepend=0) <= LONGEST)
        missing = np.zeros(len(self), bool)
        for start in range(0, len(short), BLOCK):
            rows = short[start : start + BLOCK]
            some = self._some(rows)
            said = {cell for cell in set(some) if is_missing(cell, words)}
            if said:
                missing[rows] = [cell in said for cell in some]
        return missing


AnyCells = np.ndarray | Cells


def missing_of(column: AnyCells, words: frozenset[str] = ALWAYS) -> np.ndarray:
    """Which cells say that nothing is known: of numbers those that are not finite."""
    if isinstance(column, Cells):
        return column.missing(words)
    if column.dtype == object:
        return np.array([is_missing(cell, words) for cell in column.tolist()], bool)
    return ~np.isfinite(column)


def holds(column: AnyCells, text: bytes) -> bool:
    """Whether a text is in any cell."""
    if isinstance(column, Cells):
        return text in column.content
    return any(text in cell for cell in column.tolist())


def numbers_of(column: AnyCells) -> np.ndarray:
    """Cells as float64, NaN where they are no numbers."""
    if isinstance(column, Cells):
        return column.numbers
    if column.dtype.kind in "biuf":
        return column.astype("float64")
    return numbers_in(column.tolist())


def numbers_in(cells: Sequence[bytes], *, plain: bool = False) -> np.ndarray:
    """As `numbers_of`, of a list; `plain` where no cell holds an underscore."""
    try:
        # Python reads 10_1 as 101.
        if plain or not any(b"_" in cell for cell in cells):
            return np.array(list(map(float, cells)), "float64")
    except ValueError:
        pass
    known = {cell: _number(cell) for cell in set(cells)}
    return np.array([known[cell] for cell in cells], "float64")


def _number(cell: bytes) -> float:
    try:
        return float("nan") if b"_" in cell else float(cell)
    except ValueError:
        return float("nan")


class Packer:
    """Makes `Cells` of texts that come some at a time."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.sizes = [np.empty(0, "uint32")]

    def add(self, texts: Sequence[str]) -> None:
        """The next cells."""
        content = "".join(texts)
        # A letter of ASCII is one byte: nothing has to be encoded cell by cell.
        cells: Sequence[str | bytes] = texts
        if not content.isascii():
            cells = list(map(str.encode, texts))
        self.parts.append(content.encode())
        self.sizes.append(np.fromiter(map(len, cells), "uint32", len(cells)))

    def packed(self) -> Cells:
        """All of them; the packer is empty afterwards."""
        content = b"".join(self.parts)
        self.parts = []
        return Cells(content, np.cumsum(np.concatenate(self.sizes), dtype="int64"))
