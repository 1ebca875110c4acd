"""Choose test and validation examples by hash, independent of their order and number."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.tables.cell_hashes import hash_rows, mix_bits
from pipelines.tables.cells import map_row_parts
from pipelines.tables.table import Table

TRAIN, VALID, TEST, UNUSED = range(4)
MIN_CLASS_EXAMPLES = 10  # examples of a class that is in every split, by default
MIN_CLASS_UNITS = 3  # distinct hashes of a class that is in every split
MIN_HASHED_UNITS = 300  # distinct hashes; with fewer the shares would differ too much
NUM_BUCKETS = np.uint64(2**22)
GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


class Window(NamedTuple):
    """Shares of the hashes, seen as a circle: test from `start` on, then validation, then train."""

    start: float
    test: float
    valid: float


def assign(
    hashes: np.ndarray,
    classes: np.ndarray | None,
    windows: Sequence[Window],
    index: int = 0,
    *,
    min_class_examples: int = MIN_CLASS_EXAMPLES,
) -> np.ndarray:
    """Assign each example to TRAIN, VALID or TEST.

    The hash alone decides, so that additional data never move an example to another split. There
    are two exceptions, in which they can: with fewer than `MIN_HASHED_UNITS` distinct hashes each
    class is split by the rank of the hash; so is a class of `min_class_examples` or more examples
    of which a split would have none.

    Args:
        hashes: uint64 [n]; examples with equal hashes are in the same split.
        classes: int [n]; None if the target is not a class.
        windows: the shares; in a cross-validation those of all folds, so that each example is a
            test example of exactly one fold.
        index: the index of the window to use.
        min_class_examples: examples of a class that is in every split.

    """
    num_splits = 1 + bool(windows[0].test) + bool(windows[0].valid)
    if classes is None and len({*hashes[: 2 * MIN_HASHED_UNITS].tolist()}) >= MIN_HASHED_UNITS:
        assignments = [_by_hash(hashes, window) for window in windows]
        if all(np.count_nonzero(np.bincount(each)) >= num_splits for each in assignments):
            return assignments[index]
    units, unit = np.unique(hashes, return_inverse=True)
    assignments = [_by_hash(units, window) for window in windows]
    by_class, assignment = len(units) < MIN_HASHED_UNITS, assignments[index].copy()
    for members, counts in _strata(unit, classes, len(units), min_class_examples):
        if by_class or (
            counts
            and any(len(set(candidate[members].tolist())) < num_splits for candidate in assignments)
        ):
            assignment[members] = _by_rank(len(members), windows[index])
    return assignment[unit]


def are_in(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which hashes are among others, without sorting them all as numpy.isin does."""
    found = _share_bits(hashes, others)
    others = others[_share_bits(others, hashes[found])]
    found[found] = np.isin(hashes[found], others)
    return found


def _share_bits(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which hashes have the lowest bits of one of the others."""
    occur = np.zeros(NUM_BUCKETS, bool)
    occur[others % NUM_BUCKETS] = True
    return occur[hashes % NUM_BUCKETS]


def _by_hash(units: np.ndarray, window: Window) -> np.ndarray:
    shifted = units / 2.0**64 - window.start
    shifted -= np.floor(shifted)  # faster than % 1
    assignment = np.full(len(units), TRAIN, "uint8")
    assignment[shifted < window.test + window.valid] = VALID
    assignment[shifted < window.test] = TEST
    return assignment


def _by_rank(count: int, window: Window) -> np.ndarray:
    """Assign `count` hashes by rank; of three or more each split gets at least one."""

    def rank(share: float) -> int:
        return int(share * count + 0.5 + 1e-9)  # the end of one fold is the start of the next

    first, last = rank(window.start), rank(window.start + window.test)
    num_valid = rank(window.valid)
    if window.valid and count - (last - first) >= MIN_CLASS_UNITS - 1:
        num_valid = max(1, num_valid)
    shifted = (np.arange(count) - first) % max(1, count)
    assignment = np.full(count, TRAIN, "uint8")
    assignment[shifted < last - first + num_valid] = VALID
    assignment[shifted < last - first] = TEST
    return assignment


def _strata(
    unit: np.ndarray, classes: np.ndarray | None, count: int, min_examples: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield units that are split together, and whether each split must have some of them.

    One stratum is each class with enough examples; another one is the rest. A unit belongs to the
    lowest class of its examples.
    """
    if classes is None or not len(unit):
        yield np.arange(count), True
        return
    names, number = np.unique(classes, return_inverse=True)
    class_of_unit = np.full(count, len(names))
    np.minimum.at(class_of_unit, unit, number)
    examples, units = np.bincount(number), np.bincount(class_of_unit, minlength=len(names))
    enough = (examples >= min_examples) & (units >= MIN_CLASS_UNITS)
    stratum = np.where(enough[class_of_unit], class_of_unit, len(names))
    order = np.argsort(stratum, kind="stable")
    ends = np.cumsum(np.bincount(stratum, minlength=len(names) + 1))
    for position, members in enumerate(np.split(order, ends[:-1])):
        if len(members):
            yield members, position < len(names)


def row_hashes(table: Table) -> np.ndarray:
    """Hash each row: all its cells, and its number among equal rows.

    The hash does not depend on the columns that a model uses, nor on their order. Equal rows are
    separate observations, so each gets its own hash.
    """
    rows = hash_rows(table.columns, len(table))
    ascending = np.sort(rows)
    if (ascending[1:] == ascending[:-1]).any():
        order = np.argsort(rows, kind="stable")
        starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
        lengths = np.diff(np.r_[starts, len(rows)])
        number = np.empty(len(rows), "uint64")
        number[order] = np.arange(len(rows)) - np.repeat(starts, lengths)
        rows = rows + number * GOLDEN_RATIO

    def mix(part: slice) -> None:
        rows[part] = mix_bits(rows[part])

    map_row_parts(mix, len(rows))
    return rows
