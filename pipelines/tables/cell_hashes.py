"""Hash every row of a table, column by column."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from pipelines.tables.cells import (
    AnyCells,
    Cells,
    Distinct,
    ParsedColumn,
    content_of,
    map_columns,
    map_row_parts,
)

BYTES_PER_PART = 2**17  # of a column that are hashed together: they stay in the processor's cache
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
MIX = np.uint64(0xBF58476D1CE4E5B9)
# A random number for each byte, so that similar bytes give unrelated hashes.
BYTE_HASHES = np.frombuffer(
    b"".join(hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256)), "<u8"
)


def hash_rows(columns: Mapping[str, AnyCells], count: int) -> np.ndarray:
    """Hash each of `count` rows to a uint64 of all cells and column names, in any column order."""
    salts = [
        np.frombuffer(
            hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "<u8"
        )
        for name in columns
    ]
    return _add_hashes([*columns.values()], salts, count)


def hash_inputs(columns: Sequence[ParsedColumn]) -> np.ndarray:
    """Hash each row to a uint64 of the values that a model gets.

    Unlike the content hashes of examples, these hashes can change with the version.
    """
    salts = mix_bits(np.arange(1, len(columns) + 1, dtype="uint64"))
    first = columns[0]
    return _add_hashes(columns, salts, len(first.codes if isinstance(first, Distinct) else first))


def _add_hashes(
    columns: Sequence[AnyCells | Distinct],
    salts: Sequence[np.ndarray] | np.ndarray,
    count: int,
) -> np.ndarray:
    """Return the sum of the salted hashes of all columns, a part of the rows at a time."""
    total = np.zeros(count, "uint64")
    hashers = [*map_columns(_salted_hasher, columns, salts)]

    def add(rows: slice) -> None:
        for hashes_of in hashers:
            total[rows] += hashes_of(rows)

    map_row_parts(add, count)
    return total


def _salted_hasher(
    column: AnyCells | Distinct, salt: np.ndarray | np.uint64
) -> Callable[[slice], np.ndarray]:
    """Return a function that hashes some rows of a column."""
    if isinstance(column, Cells) and (column.is_repetitive or column.floats is None):
        column = column.distinct
    if isinstance(column, Distinct):
        hashes, codes = mix_bits(hash_cells(column.values) ^ salt), column.codes
        return lambda rows: hashes[codes[rows]]
    if isinstance(column, Cells):
        cells = column
        return lambda rows: mix_bits(hash_cells(cells.part(rows)) ^ salt)
    array = column
    return lambda rows: mix_bits(hash_cells(array[rows]) ^ salt)


def hash_cells(column: AnyCells) -> np.ndarray:
    """Hash each cell to a uint64: the same for equal texts, or equal numbers of one dtype."""
    if isinstance(column, Cells):
        parts = [part for chunk in column.array.chunks for part in hash_texts(*content_of(chunk))]
        return np.concatenate([np.empty(0, "uint64"), *parts])
    if column.dtype == object:
        return hash_cells(Cells.of(column.tolist()))
    whole = column.dtype.kind in "biuM"
    return mix_bits(column.astype("int64" if whole else "float64").view("uint64"))


def hash_texts(content: np.ndarray, ends: np.ndarray) -> Iterator[np.ndarray]:
    """Yield polynomial hashes in BASE of the cells, part by part.

    The hash of a cell is the difference of two prefix sums over all bytes, shifted to its end.
    """
    first, up, down = 0, *_powers(BYTES_PER_PART + 1)
    while first < len(ends) - 1:
        begin = ends[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + BYTES_PER_PART, "right")) - 1)
        part = content[begin : ends[last]]
        if len(part) >= len(up):  # a long cell
            up, down = _powers(len(part) + 1)
        sums = np.zeros(len(part) + 1, "uint64")
        np.take(BYTE_HASHES, part, out=sums[1:], mode="clip")
        sums[1:] *= down[: len(part)]
        np.cumsum(sums, out=sums)
        stops = ends[first : last + 1] - begin
        yield mix_bits(np.diff(sums[stops]) * up[stops[1:]] + np.diff(stops).astype("uint64"))
        first = last


@functools.lru_cache(maxsize=2)
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first powers of BASE and of its inverse."""
    factors = np.array([[BASE], [pow(BASE, -1, 2**64)]], "uint64").repeat(count, 1)
    factors[:, 0] = 1
    up, down = np.cumprod(factors, 1)
    return up, down


def mix_bits(numbers: np.ndarray) -> np.ndarray:
    """Mix the bits of each number, by the finalizer of SplitMix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
