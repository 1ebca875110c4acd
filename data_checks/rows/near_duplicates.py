"""Find near duplicate rows: all columns but one agree, or all agree up to rounding.

The sum of the hashes of a row's cells, minus the hash of one column, is equal for rows that differ
in that column alone. A pair counts only if chance does not explain its agreement: in tables
of few categories most rows agree with another row.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

STEPS_PER_DEVIATION = 1000  # numbers within one step count as equal
MARGIN_BITS = 10  # bits of agreement beyond the expected ones of all pairs
MAX_PAIRS = 200_000
RARE_VALUE_BITS = 5.0  # added for a cell of a column that hardly repeats
MIN_COLUMNS = 4
MIX = np.uint64(0x9E3779B97F4A7C15)


class Hashes(NamedTuple):
    """uint64 hashes of cells or rows, and the bits of evidence that agreement in each gives."""

    hashes: np.ndarray
    bits: np.ndarray


class SimilarRows(NamedTuple):
    """Pairs of row numbers, int64 [pairs, 2]: equal up to rounding, or different in one column."""

    rounded: np.ndarray
    but_one: np.ndarray


def pairs(columns: Mapping[str, np.ndarray], progress: Callable[[int, int], None]) -> SimilarRows:
    """Pair each row with the next similar row."""
    no_pairs = np.empty((0, 2), "int64")
    if len(columns) < MIN_COLUMNS:
        return SimilarRows(no_pairs, no_pairs)
    count = len(next(iter(columns.values())))
    rounded, but_one = [no_pairs], [no_pairs]
    for shift in (0.0, 0.5):  # numbers on both sides of a step's edge agree in one of the two
        total, all_bits = functools.reduce(_add, _hashes(columns, shift))
        needed = 2 * np.log2(max(2, count)) + MARGIN_BITS
        rounded.append(_equal(total, all_bits >= needed))
        # Computed again, because storing them would take twelve bytes a cell.
        for done, (hashed, own) in enumerate(_hashes(columns, shift), 1):
            with np.errstate(over="ignore"):
                rest = total - hashed
            but_one.append(_equal(rest, all_bits - own >= needed))
            progress(done, len(columns))
    return SimilarRows(_distinct_pairs(rounded), _distinct_pairs(but_one, rounded))


def _hashes(columns: Mapping[str, np.ndarray], shift: float) -> Iterator[Hashes]:
    for index, column in enumerate(columns.values()):
        codes = _codes(column, shift)
        yield Hashes(_hashed(codes, index), _bits(codes))


def _add(first: Hashes, second: Hashes) -> Hashes:
    return Hashes(first.hashes + second.hashes, first.bits + second.bits)


def _distinct_pairs(parts: list[np.ndarray], excluded: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return the distinct pairs, without those of `excluded`."""
    pairs = np.unique(np.sort(np.concatenate(parts), axis=1), axis=0)
    if len(excluded):
        keys, excluded_keys = (
            rows[:, 0] << 32 | rows[:, 1]
            for rows in (pairs, np.sort(np.concatenate(excluded), axis=1))
        )
        pairs = pairs[~np.isin(keys, excluded_keys)]
    return pairs[:MAX_PAIRS]


def _codes(column: np.ndarray, shift: float) -> np.ndarray:
    """Return integer codes, equal for cells that count as equal."""
    if column.dtype == object:
        cells = column.tolist()
        numbers = {cell: number for number, cell in enumerate(dict.fromkeys(cells))}
        return np.array([numbers[cell] for cell in cells], "int64")
    values = column.astype("float64")
    spread = float(np.nanstd(values)) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.floor(values / spread * STEPS_PER_DEVIATION + shift)
    return np.where(np.isfinite(steps), np.clip(steps, -(2**60), 2**60), -(2**61)).astype("int64")


def _hashed(codes: np.ndarray, index: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        numbers = (codes.astype("uint64") + np.uint64(index + 1) * MIX) * MIX
        numbers ^= numbers >> np.uint64(32)
        numbers = numbers * np.uint64(0xD6E8FEB86659FD93)
        return numbers ^ (numbers >> np.uint64(32))


def _bits(codes: np.ndarray) -> np.ndarray:
    """Return the bits of evidence that agreement in each cell gives: more for a rare value."""
    indices = codes - codes.min()
    if indices.max() > 2 * len(codes):  # too far apart to be counted one by one
        indices = np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(indices)
    # If most values differ, many more were possible than occurred.
    unseen = RARE_VALUE_BITS if np.count_nonzero(counts) > len(codes) / 2 else 0.0
    with np.errstate(divide="ignore"):
        return (np.log2(len(codes) / counts) + unseen).astype("float32")[indices]


def _equal(keys: np.ndarray, sufficient: np.ndarray) -> np.ndarray:
    """Pair each row with sufficient evidence with the next row of the same key."""
    rows = np.flatnonzero(sufficient)
    order = rows[np.argsort(keys[rows], kind="stable")]
    same = keys[order[1:]] == keys[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], 1)
