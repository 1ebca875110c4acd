"""Make one rating of all rows of the same user and item."""

from typing import Literal, NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.ids.numbering import to_arrow

Repeats = Literal["last", "mean", "sum"]
NOTES: dict[Repeats, str] = {
    "last": "repeated pairs left out, the last of each is kept",
    "mean": "repeated pairs left out, each pair has the mean of its ratings",
    "sum": "repeated pairs left out, each pair has the sum of its ratings",
}


class DistinctPairs(NamedTuple):
    """The last row of each pair, in the order of the rows, and the rating of the pair, [pairs]."""

    rows: np.ndarray
    ratings: np.ndarray


def distinct_pairs(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    times: np.ndarray | None,
    rows: np.ndarray,
    repeats: Repeats,
) -> DistinctPairs:
    """Make one rating of the usable `rows` of each pair.

    Raises DataError if a sum is too large for float32.

    Args:
        users: ids of all rows, UTF-8.
        items: ids of all rows, UTF-8.
        ratings: of all rows.
        times: of all rows; None if unknown: the last row is then the last in the table.
        rows: numbers of the usable rows, ascending.
        repeats: the rating of a pair: that of its last row, or the mean or sum over its rows.

    """
    ordered = rows if times is None else rows[np.argsort(times[rows], kind="stable")]
    user, item = (to_arrow(column[ordered]).dictionary_encode() for column in (users, items))
    pairs = user.indices.to_numpy().astype("int64") * len(item.dictionary) + item.indices.to_numpy()
    # np.unique finds the first of equal ones.
    _, places, pair_of_row = np.unique(pairs[::-1], return_index=True, return_inverse=True)
    last = ordered[::-1][places]
    order = np.argsort(last)
    if repeats == "last":
        return DistinctPairs(last[order], ratings[last[order]])
    sums = np.bincount(pair_of_row, ratings[ordered[::-1]].astype("float64"))
    combined = sums / np.bincount(pair_of_row) if repeats == "mean" else sums
    if len(combined) and np.abs(combined).max() > np.finfo("float32").max:
        raise DataError(
            "Received ratings whose sums are too large for 32-bit floats; expected less than 3e38. "
            "Use a larger unit, or --repeats mean."
        )
    return DistinctPairs(last[order], combined[order].astype("float32"))
