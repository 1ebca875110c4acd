"""Columns of texts, stored in little memory by Arrow; functions run once per distinct cell."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tables.missing import MISSING_WORDS, NUMBER_WORDS, is_missing

MIN_ROWS_FOR_THREADS = 20_000
CELLS_PER_BLOCK = 2**16  # cells that are Python objects at the same time
ROWS_PER_PART = 2**16  # that are processed at a time
NUM_TRIED_CELLS = 256  # parsed to numbers before the whole column is
NUM_SAMPLES, CELLS_PER_SAMPLE = 8, 1024  # consecutive cells that tell whether cells repeat
MIN_REPEATS = 16  # of a cell in the samples, with which distinct cells are read faster
# Codes for missing numbers that Arrow does not parse, as people write them.
GAP_WORDS = [
    word.encode()
    for code in sorted(NUMBER_WORDS - {""})
    if "inf" not in code and "nan" not in code
    for word in dict.fromkeys((code, code.upper(), code.title()))
]


class Distinct(NamedTuple):
    """The distinct cells of a column.

    Attributes:
        values: the distinct cells, an array of objects in the order of their first rows.
        codes: for each row the position of its cell in `values`.

    """

    values: np.ndarray
    codes: np.ndarray

    def cells(self) -> np.ndarray:
        """Return the cell of each row."""
        return self.values[self.codes]

    def counts(self) -> Counter[bytes]:
        """Return the number of rows of each cell."""
        counts = np.bincount(self.codes, minlength=len(self.values))
        return Counter(dict(zip(self.values.tolist(), counts.tolist(), strict=True)))

    def map(self, function: Callable[[bytes], Any], dtype: str) -> np.ndarray:
        """Return the value of a function for the cell of each row; calls it once per cell."""
        values = self.values.tolist()
        return np.fromiter(map(function, values), dtype, len(values))[self.codes]


class Cells:
    """The cells of a column as UTF-8 bytes in Arrow arrays; indexing gives arrays of objects.

    A million Python objects take ten times as much memory as their bytes. In an array of objects
    equal cells are the same object.

    Args:
        array: chunks of binary arrays, in which an empty cell is null.

    """

    dtype = np.dtype(object)

    def __init__(self, array: pa.ChunkedArray) -> None:
        self.array = array
        self.parsed: dict[Any, np.ndarray] = {}  # cached values, by cell format

    @classmethod
    def of(cls, cells: Iterable[bytes]) -> "Cells":
        """Make a column of cells."""
        array = pa.array([cell or None for cell in cells], pa.binary())
        return cls(pa.chunked_array([array]))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self), CELLS_PER_BLOCK):
            yield from Cells(self.array.slice(start, CELLS_PER_BLOCK)).tolist()

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self.array[int(rows)].as_py() or b""
        return np.asarray(self.take(np.arange(len(self))[rows]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.distinct.cells().astype(dtype or object, copy=False)

    def tolist(self) -> list[bytes]:
        """Return all cells."""
        return np.asarray(self).tolist()

    def part(self, rows: slice) -> "Cells":
        """Return consecutive cells as a column that shares their memory."""
        return Cells(self.array.slice(rows.start, rows.stop - rows.start))

    def take(self, rows: np.ndarray) -> "Cells":
        """Return the cells at these positions as a column."""
        return Cells(self.array.take(pa.array(rows)))

    @functools.cached_property
    def distinct(self) -> Distinct:
        """The distinct cells."""
        values = self.encoded.dictionary.to_numpy(zero_copy_only=False)
        values[[value is None for value in values]] = b""
        return Distinct(values, self.encoded.indices.to_numpy())

    @functools.cached_property
    def encoded(self) -> pa.DictionaryArray:
        """The cells as a dictionary."""
        if not len(self):
            return pa.array([], pa.binary()).dictionary_encode()
        return self.array.dictionary_encode("encode").combine_chunks()

    @functools.cached_property
    def is_repetitive(self) -> bool:
        """Whether the same few cells occur again and again, judged by samples."""
        step = len(self) // NUM_SAMPLES
        if step < CELLS_PER_SAMPLE:
            return False
        samples = [
            chunk
            for number in range(NUM_SAMPLES)
            for chunk in self.array.slice(number * step, CELLS_PER_SAMPLE).chunks
        ]
        num_distinct = pc.count_distinct(pa.chunked_array(samples), mode="all").as_py()
        return num_distinct * MIN_REPEATS <= NUM_SAMPLES * CELLS_PER_SAMPLE

    @functools.cached_property
    def floats(self) -> np.ndarray | None:
        """The cells as float64, NaN for an empty one; None if another one is no number."""
        if not self.is_repetitive:
            return _floats(self.array)
        values = _floats(pa.chunked_array([self.encoded.dictionary]))
        return None if values is None else values[self.distinct.codes]

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """The cells as float64; NaN for a cell that is not a number."""
        if self.floats is not None:
            return self.floats
        first = self.array.slice(0, CELLS_PER_BLOCK)
        if _floats(_without_gaps(first)) is not None:
            floats = _floats(_without_gaps(self.array))
            if floats is not None:
                return floats
        return self.distinct.map(parse_float, "float64")

    def missing(self, words: frozenset[str] = MISSING_WORDS) -> np.ndarray:
        """Return which cells are missing values."""
        if self.floats is None:
            return self.distinct.map(lambda cell: is_missing(cell, words), "bool")
        missing = ~np.isfinite(self.floats)
        rows = np.flatnonzero(missing)
        missing[rows] = self.take(rows).distinct.map(lambda cell: is_missing(cell, words), "bool")
        return missing

    def contains(self, text: bytes) -> bool:
        """Whether any cell contains a text."""
        return any(text in content_of(chunk)[0].tobytes() for chunk in self.array.chunks)


def map_columns(function: Callable, columns: Iterable, *more: Iterable) -> Iterator[Any]:
    """Do what `map` does, with long columns in as many threads as there are cores.

    NumPy and Arrow use them all. Threads for thousands of short columns would wait for each other.
    """
    columns = list(columns)
    if not columns or len(columns[0]) < MIN_ROWS_FOR_THREADS:
        yield from map(function, columns, *more)
        return
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        yield from threads.map(function, columns, *more)


def map_row_parts(function: Callable[[slice], None], count: int, size: int = ROWS_PER_PART) -> None:
    """Call a function for each part of `count` rows, in threads if there are many."""
    parts = (slice(start, min(start + size, count)) for start in range(0, count, size))
    if count < MIN_ROWS_FOR_THREADS:
        for part in parts:
            function(part)
        return
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        for _ in threads.map(function, parts):
            pass


def content_of(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all cells of a binary array, and the position at which each ends.

    Both are views of the array's memory; the positions begin with the 0 before the first cell.
    """
    _, positions, content = array.buffers()
    ends = np.frombuffer(positions, "int32")[array.offset : array.offset + len(array) + 1]
    every = np.frombuffer(content or b"", "uint8")
    return every[ends[0] : ends[-1]], ends - ends[0]


def _floats(array: pa.ChunkedArray) -> np.ndarray | None:
    """Parse cells to float64, NaN for null; None if a cell is no number for Python's float()."""
    if len(array) > NUM_TRIED_CELLS and _floats(array.slice(0, NUM_TRIED_CELLS)) is None:
        return None  # Arrow would try all cells
    strings = [chunk.view(pa.string()) for chunk in array.chunks]
    try:
        floats = pa.chunked_array(strings, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    numbers = floats.to_numpy()
    if (
        np.isnan(numbers).sum() > array.null_count
        and pc.any(pc.match_substring(array, "(")).as_py()
    ):
        return None  # Arrow parses nan(1)
    return numbers


def _without_gaps(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace the codes for missing numbers by null."""
    gaps = pc.is_in(array, pa.array(GAP_WORDS, pa.binary()))
    return pc.if_else(gaps, pa.scalar(None, pa.binary()), array)


def parse_float(cell: bytes) -> float:
    """Parse a cell by Python's float(); NaN if it is not a number."""
    try:
        return float("nan") if b"_" in cell else float(cell)  # Python reads 10_1 as 101
    except ValueError:
        return float("nan")


AnyCells = np.ndarray | Cells
ParsedColumn = np.ndarray | Distinct  # of numbers, or of texts


def missing_of(column: AnyCells, words: frozenset[str] = MISSING_WORDS) -> np.ndarray:
    """Return which cells are missing values; of numbers those that are not finite."""
    if isinstance(column, Cells):
        return column.missing(words)
    if column.dtype == object:
        return np.array([is_missing(cell, words) for cell in column.tolist()], bool)
    return np.isnat(column) if column.dtype.kind == "M" else ~np.isfinite(column)


def contains_text(column: AnyCells, text: bytes) -> bool:
    """Whether any cell contains a text."""
    if isinstance(column, Cells):
        return column.contains(text)
    return any(text in cell for cell in column.tolist())


def num_bytes(column: AnyCells) -> int:
    """Return the size of all cells of a column of texts."""
    if isinstance(column, Cells):
        return sum(len(content_of(chunk)[0]) for chunk in column.array.chunks)
    return sum(map(len, column.tolist()))


def numbers_of(column: AnyCells) -> np.ndarray:
    """Return cells as float64, times as days since 1970; NaN for a cell that is not a number."""
    if isinstance(column, Cells):
        return column.numbers
    if column.dtype.kind == "M":
        return (column - np.datetime64(0, "D")) / np.timedelta64(1, "D")
    if column.dtype.kind in "biuf":
        return column.astype("float64")
    return numbers_in(column.tolist())


def numbers_in(cells: Sequence[bytes]) -> np.ndarray:
    """Convert a list of cells as `numbers_of` does."""
    return np.fromiter(map(parse_float, cells), "float64", len(cells))


def distinct_of(column: AnyCells, rows: np.ndarray | None = None) -> Distinct:
    """Return the distinct cells of a column of texts, or of some of its rows.

    The rows have to be distinct and in ascending order.
    """
    if rows is not None and len(rows) < len(column):
        column = column.take(rows) if isinstance(column, Cells) else column[rows]
    return column.distinct if isinstance(column, Cells) else Cells.of(column.tolist()).distinct
