"""Store texts in few large pieces of memory, or of a mapped file."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.tables.cells import CELLS_PER_BLOCK, AnyCells, Cells, content_of
from pipelines.tables.missing import MAX_CODE_BYTES, TEXT_WORDS, is_missing

NO_TEXT = b"None"  # a missing value that Python wrote
TEXTS_PER_BLOCK = 2**14  # that are Python objects at the same time


class Texts:
    """Texts as bytes; indexing by rows gives an array of objects, as of an array of objects.

    A million Python objects take twice the memory of their bytes. The bytes stay where they are:
    those of a large table in a memory map of a file, which the system may drop from memory.

    Args:
        contents: pieces of memory, each with the bytes of many texts.
        piece: for each text the number of its piece.
        starts: for each text the position of its first byte in the piece.
        sizes: the number of bytes of each text.

    """

    dtype = np.dtype(object)

    def __init__(
        self, contents: list[memoryview], piece: np.ndarray, starts: np.ndarray, sizes: np.ndarray
    ) -> None:
        self.sizes, self._contents, self._piece, self._starts = sizes, contents, piece, starts

    @classmethod
    def of(cls, column: AnyCells) -> "Texts":
        """Make the texts of a column; those of `Cells` are not copied."""
        return cls.of_pieces(map(content_of, _chunks(column)))

    @classmethod
    def of_pieces(cls, pieces: Iterable[tuple[Any, np.ndarray]]) -> "Texts":
        """Make texts of pieces of memory, each with the positions 0, end of the first text, ..."""
        contents, starts, sizes = list[memoryview](), [np.empty(0, "int32")], list[np.ndarray]()
        for content, ends in pieces:
            contents.append(memoryview(content))
            starts.append(ends[:-1].astype("int32"))
            sizes.append(np.diff(ends).astype("int32"))
        piece = np.repeat(np.arange(len(sizes), dtype="int32"), [*map(len, sizes)])
        return cls(contents, piece, np.concatenate(starts), np.concatenate([starts[0], *sizes]))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def shape(self) -> tuple[int]:
        """The number of texts, as of an array."""
        return (len(self),)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self[[rows]][0]
        starts, sizes = self._starts[rows], self.sizes[rows]
        places = zip(
            self._piece[rows].tolist(), starts.tolist(), (starts + sizes).tolist(), strict=True
        )
        texts = np.empty(len(sizes), object)
        texts[:] = [self._contents[k][start:end].tobytes() for k, start, end in places]
        return texts

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks():
            yield from self[block].tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or object, copy=False)

    def take(self, rows: np.ndarray) -> "Texts":
        """Return the texts at these positions, which share their memory with these."""
        return Texts(self._contents, self._piece[rows], self._starts[rows], self.sizes[rows])

    def blocks(self, num_bytes: int = 2**24) -> Iterator[slice]:
        """Yield slices of consecutive texts of about as many bytes, at least one."""
        ends, start = np.cumsum(self.sizes, dtype="int64"), 0
        while start < len(self):
            before = ends[start] - self.sizes[start]
            fitting = int(np.searchsorted(ends, before + num_bytes, side="right"))
            stop = max(start + 1, min(fitting, start + TEXTS_PER_BLOCK))
            yield slice(start, stop)
            start = stop


def _chunks(column: AnyCells) -> Iterator[pa.Array]:
    if isinstance(column, Cells):
        yield from column.array.chunks
        return
    for start in range(0, len(column), CELLS_PER_BLOCK):
        array = pa.array(column[start : start + CELLS_PER_BLOCK].tolist(), pa.binary())
        yield from array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def empty_of(column: AnyCells) -> np.ndarray:
    """Return which cells have no text: they are empty, or a code for a missing value."""
    texts = Texts.of(column)
    empty = texts.sizes == 0
    short = np.flatnonzero(~empty & (texts.sizes <= MAX_CODE_BYTES))
    for start in range(0, len(short), TEXTS_PER_BLOCK):
        rows = short[start : start + TEXTS_PER_BLOCK]
        empty[rows] = [text == NO_TEXT or is_missing(text, TEXT_WORDS) for text in texts[rows]]
    return empty
