"""Store a column of a file in little memory, as the concatenated bytes of its cells."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.tables.missing import MAX_WORD_BYTES, MISSING_WORDS, is_missing

CELLS_PER_BLOCK = 2**16  # cells that are Python objects at the same time
MAX_SHARED_CELLS = 2**16  # distinct cells that are remembered, so that equal ones share memory


class Cells:
    """The cells of a column as UTF-8 bytes; converts to an array of objects.

    A million Python objects take ten times as much memory as their bytes. Indexing gives an
    array of objects, in which equal cells are the same object.

    Args:
        content: the bytes of all cells.
        ends: the position in `content` at which each cell ends.

    """

    dtype = np.dtype(object)

    def __init__(self, content: bytes, ends: np.ndarray) -> None:
        self.content = content
        self.parsed: dict[Any, np.ndarray] = {}  # cached values, by cell format
        self.ends = ends.astype(np.min_scalar_type(len(content)))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.blocks())

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self._cells_at(np.array([range(len(self))[rows]]))[0]
        return self.objects(np.arange(len(self))[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.objects(np.arange(len(self))).astype(dtype or object, copy=False)

    def tolist(self) -> list[bytes]:
        """Return all cells."""
        return list(self)

    def blocks(self) -> Iterator[list[bytes]]:
        """Yield all cells, block by block."""
        for start in range(0, len(self), CELLS_PER_BLOCK):
            yield self._cells_at(np.arange(start, min(start + CELLS_PER_BLOCK, len(self))))

    def objects(self, rows: np.ndarray) -> np.ndarray:
        """Return the cells at these positions; equal cells are the same object, up to a limit."""
        cells = np.empty(len(rows), object)
        shared: dict[bytes, bytes] = {}
        for start in range(0, len(rows), CELLS_PER_BLOCK):
            block = self._cells_at(rows[start : start + CELLS_PER_BLOCK])
            if len(shared) < MAX_SHARED_CELLS:
                block = list(map(shared.setdefault, block, block))
            cells[start : start + CELLS_PER_BLOCK] = np.array([*block, None], object)[:-1]
        return cells

    def _cells_at(self, rows: np.ndarray) -> list[bytes]:
        ends = self.ends[rows]
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        content = self.content
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        return [content[start:end] for start, end in pairs]

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """The cells as float64; NaN for a cell that is not a number."""
        plain = b"_" not in self.content
        parts = [numbers_in(block, plain=plain) for block in self.blocks()]
        return np.concatenate(parts) if parts else np.empty(0)

    def missing(self, words: frozenset[str] = MISSING_WORDS) -> np.ndarray:
        """Return which cells are missing values."""
        short = np.flatnonzero(np.diff(self.ends, prepend=0) <= MAX_WORD_BYTES)
        missing = np.zeros(len(self), bool)
        for start in range(0, len(short), CELLS_PER_BLOCK):
            rows = short[start : start + CELLS_PER_BLOCK]
            cells = self._cells_at(rows)
            codes = {cell for cell in set(cells) if is_missing(cell, words)}
            if codes:
                missing[rows] = [cell in codes for cell in cells]
        return missing


AnyCells = np.ndarray | Cells


def missing_of(column: AnyCells, words: frozenset[str] = MISSING_WORDS) -> np.ndarray:
    """Return which cells are missing values; of numbers those that are not finite."""
    if isinstance(column, Cells):
        return column.missing(words)
    if column.dtype == object:
        return np.array([is_missing(cell, words) for cell in column.tolist()], bool)
    return ~np.isfinite(column)


def contains_text(column: AnyCells, text: bytes) -> bool:
    """Whether any cell contains a text."""
    if isinstance(column, Cells):
        return text in column.content
    return any(text in cell for cell in column.tolist())


def numbers_of(column: AnyCells) -> np.ndarray:
    """Return cells as float64; NaN for a cell that is not a number."""
    if isinstance(column, Cells):
        return column.numbers
    if column.dtype.kind in "biuf":
        return column.astype("float64")
    return numbers_in(column.tolist())


def numbers_in(cells: Sequence[bytes], *, plain: bool = False) -> np.ndarray:
    """Convert a list of cells as `numbers_of` does; `plain`: no cell has an underscore."""
    try:
        # Python reads 10_1 as 101.
        if plain or not any(b"_" in cell for cell in cells):
            return np.array(list(map(float, cells)), "float64")
    except ValueError:
        pass
    converted = {cell: _number(cell) for cell in set(cells)}
    return np.array([converted[cell] for cell in cells], "float64")


def _number(cell: bytes) -> float:
    try:
        return float("nan") if b"_" in cell else float(cell)
    except ValueError:
        return float("nan")


class Packer:
    """Builds `Cells` from texts that arrive in parts."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.sizes = [np.empty(0, "uint32")]

    def add(self, texts: Sequence[str]) -> None:
        """Add the next cells."""
        content = "".join(texts)
        # An ASCII character is one byte: the cells need not be encoded one by one.
        cells: Sequence[str | bytes] = texts
        if not content.isascii():
            cells = list(map(str.encode, texts))
        self.parts.append(content.encode())
        self.sizes.append(np.fromiter(map(len, cells), "uint32", len(cells)))

    def packed(self) -> Cells:
        """Return all cells; the packer is empty afterwards."""
        content = b"".join(self.parts)
        self.parts = []
        return Cells(content, np.cumsum(np.concatenate(self.sizes), dtype="int64"))
