"""Choose test and validation examples by hash, whatever their order and number."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.tables.cell_hashes import hash_rows, mix_bits
from pipelines.tables.table import Table

TRAIN, VALID, TEST, UNUSED = range(4)  # sides of a cut
MIN_CLASS_EXAMPLES = 10  # from which on a class is in every split
MIN_CLASS_UNITS = 3  # what is drawn as one: one for each split
MIN_HASHED_UNITS = 300  # below, the shares of a draw by hash would be far from those asked for
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Window(NamedTuple):
    """Shares of a circle of hashes: from `start` on lies test, then validation, then train."""

    start: float
    test: float
    valid: float


def assign(
    hashes: np.ndarray, classes: np.ndarray | None, windows: Sequence[Window], which: int = 0
) -> np.ndarray:
    """The split of each example: TRAIN, VALID or TEST.

    The hash alone decides, so that more data never move an example, with two exceptions.
    A set of fewer than `MIN_HASHED_UNITS` distinct hashes is cut by the rank of the hash, class
    by class. And a class of `MIN_CLASS_EXAMPLES` or more that the hash leaves without one of
    the splits is cut by rank. There more data can move an example.

    Args:
        hashes: uint64 [n]; examples of equal hashes fall on one side.
        classes: int [n]; None where the target is no class.
        windows: the shares; of a cross-validation those of all folds, so that each example is a
            test example of one fold.
        which: the window that is asked for.

    """
    units, unit = np.unique(hashes, return_inverse=True)
    every = [_by_hash(units, window) for window in windows]
    wanted = 1 + bool(windows[0].test) + bool(windows[0].valid)
    few, side = len(units) < MIN_HASHED_UNITS, every[which].copy()
    for members, counts in _strata(unit, classes, len(units)):
        if few or (counts and any(len(set(one[members].tolist())) < wanted for one in every)):
            side[members] = _by_rank(len(members), windows[which])
    return side[unit]


def _by_hash(units: np.ndarray, window: Window) -> np.ndarray:
    shifted = (units / 2.0**64 - window.start) % 1.0
    side = np.full(len(units), TRAIN, "uint8")
    side[shifted < window.test + window.valid] = VALID
    side[shifted < window.test] = TEST
    return side


def _by_rank(count: int, window: Window) -> np.ndarray:
    """The sides of the 1st, 2nd, ... of `count` hashes; of three or more each split has one."""

    def rank(share: float) -> int:
        return int(share * count + 0.5 + 1e-9)  # the end of one fold is the start of the next

    first, last = rank(window.start), rank(window.start + window.test)
    num_valid = rank(window.valid)
    if window.valid and count - (last - first) >= MIN_CLASS_UNITS - 1:
        num_valid = max(1, num_valid)
    shifted = (np.arange(count) - first) % max(1, count)
    side = np.full(count, TRAIN, "uint8")
    side[shifted < last - first + num_valid] = VALID
    side[shifted < last - first] = TEST
    return side


def _strata(
    unit: np.ndarray, classes: np.ndarray | None, count: int
) -> Iterator[tuple[np.ndarray, bool]]:
    """Units that are cut together, in order, and whether each split must have some of them.

    They are those of each class of enough examples, and all others. A unit counts for the lowest
    class of its examples.
    """
    if classes is None or not len(unit):
        yield np.arange(count), True
        return
    known, number = np.unique(classes, return_inverse=True)
    own = np.full(count, len(known))
    np.minimum.at(own, unit, number)
    examples, units = np.bincount(number), np.bincount(own, minlength=len(known))
    enough = (examples >= MIN_CLASS_EXAMPLES) & (units >= MIN_CLASS_UNITS)
    stratum = np.where(enough[own], own, len(known))
    order = np.argsort(stratum, kind="stable")
    ends = np.cumsum(np.bincount(stratum, minlength=len(known) + 1))
    for which, members in enumerate(np.split(order, ends[:-1])):
        if len(members):
            yield members, which < len(known)


def row_hashes(table: Table) -> np.ndarray:
    """A hash for each row: of all its cells, as read, and of its number among equal rows.

    The columns that a model uses do not matter, nor their order. A row is an example drawn from
    what could be observed; equal rows are several such, so each has a draw of its own.
    """
    rows = hash_rows(table.columns, len(table))
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.r_[True, rows[order][1:] != rows[order][:-1]])
    number = np.empty(len(rows), "uint64")
    number[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return mix_bits(rows + number * GOLDEN)
