"""Hash every row of a table, column by column."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from pipelines.tables.cells import AnyCells, Cells

BYTES_PER_PART = 2**20  # of a column that are hashed together
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
MIX = np.uint64(0xBF58476D1CE4E5B9)
# A random number for each byte, so that similar bytes give unrelated hashes.
BYTE_HASHES = np.frombuffer(
    b"".join(hashlib.blake2b(bytes([byte]), digest_size=8).digest() for byte in range(256)), "<u8"
)


def hash_rows(columns: Mapping[str, AnyCells], count: int) -> np.ndarray:
    """Hash each of `count` rows to a uint64 of all cells and column names, in any column order."""
    hashes = np.zeros(count, "uint64")
    for name, column in columns.items():
        name_hash = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        hashes += mix_bits(hash_cells(column) ^ np.frombuffer(name_hash, "<u8"))
    return hashes


def hash_cells(column: AnyCells) -> np.ndarray:
    """Hash each cell to a uint64: the same for equal texts, or equal numbers of one dtype."""
    if isinstance(column, Cells):
        return np.concatenate([np.empty(0, "uint64"), *_hash_texts(column)])
    if column.dtype == object:
        texts = column.tolist()
        ends = np.cumsum(np.fromiter(map(len, texts), "int64", len(texts)))
        return hash_cells(Cells(b"".join(texts), ends))
    whole = column.dtype.kind in "biu"
    return mix_bits(column.astype("int64" if whole else "float64").view("uint64"))


def _hash_texts(column: Cells) -> Iterator[np.ndarray]:
    """Yield polynomial hashes in BASE of the cells, part by part.

    The hash of a cell is the difference of two prefix sums over all bytes, shifted to its end.
    """
    ends, first, begin = column.ends.astype("int64"), 0, 0
    up = down = np.ones(1, "uint64")
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, begin + BYTES_PER_PART, "right")))
        part = np.frombuffer(column.content, "uint8", ends[last - 1] - begin, begin)
        if len(part) >= len(up):
            up, down = (_powers(base, len(part) + 1) for base in (BASE, pow(BASE, -1, 2**64)))
        sums = np.zeros(len(part) + 1, "uint64")
        np.cumsum(BYTE_HASHES[part] * down[: len(part)], out=sums[1:])
        stops = ends[first:last] - begin
        starts = np.concatenate([[0], stops[:-1]])
        lengths = (stops - starts).astype("uint64")
        yield mix_bits((sums[stops] - sums[starts]) * up[stops] + lengths)
        first, begin = last, int(ends[last - 1])


def _powers(base: int, count: int) -> np.ndarray:
    factors = np.full(count, base, "uint64")
    factors[0] = 1
    return np.cumprod(factors)


def mix_bits(numbers: np.ndarray) -> np.ndarray:
    """Mix the bits of each number, by the finalizer of SplitMix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * MIX
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
