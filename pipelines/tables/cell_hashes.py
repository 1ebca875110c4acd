"""A hash for each row of a table, made of whole columns at once."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.tables.cells import AnyCells, Cells

PART = 2**20  # bytes of a column that are hashed together
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
MIX = np.uint64(0xBF58476D1CE4E5B9)
# A number for each byte, so that texts of small letters and of digits are as far apart.
LETTERS = np.frombuffer(
    b"".join(hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256)), "<u8"
)


def hashes_of_rows(columns: Mapping[str, AnyCells], count: int) -> np.ndarray:
    """A uint64 for each of `count` rows: of all cells and their columns' names, in any order."""
    found = np.zeros(count, "uint64")
    for name, column in columns.items():
        own = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        found += mixed(hashes_of_cells(column) ^ np.frombuffer(own, "<u8"))
    return found


def hashes_of_cells(column: AnyCells) -> np.ndarray:
    """A uint64 for each cell: of equal texts, or of equal numbers of one dtype, the same."""
    if isinstance(column, Cells):
        return np.concatenate([np.empty(0, "uint64"), *_of_texts(column)])
    if column.dtype == object:
        texts = column.tolist()
        ends = np.cumsum(np.fromiter(map(len, texts), "int64", len(texts)))
        return hashes_of_cells(Cells(b"".join(texts), ends))
    whole = column.dtype.kind in "biu"
    return mixed(column.astype("int64" if whole else "float64").view("uint64"))


def _of_texts(column: Cells) -> Iterator[np.ndarray]:
    """Of some cells at a time: the polynomial in BASE whose coefficients are the bytes' numbers.

    A sum over all bytes gives that of each cell as a difference, moved to the cell's end.
    """
    ends, first, begin = column.ends.astype("int64"), 0, 0
    up = down = np.ones(1, "uint64")
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, begin + PART, "right")))
        part = np.frombuffer(column.content, "uint8", ends[last - 1] - begin, begin)
        if len(part) >= len(up):
            up, down = (_powers(base, len(part) + 1) for base in (BASE, pow(BASE, -1, 2**64)))
        sums = np.zeros(len(part) + 1, "uint64")
        np.cumsum(LETTERS[part] * down[: len(part)], out=sums[1:])
        stops = ends[first:last] - begin
        starts = np.concatenate([[0], stops[:-1]])
        lengths = (stops - starts).astype("uint64")
        yield mixed((sums[stops] - sums[starts]) * up[stops] + lengths)
        first, begin = last, int(ends[last - 1])


def _powers(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, "uint64")
    factors[0] = 1
    return np.cumprod(factors)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """All bits of each number depend on all others (the finalizer of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
