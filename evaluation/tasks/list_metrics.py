"""Metrics of lists of recommended items."""

from typing import Any, NamedTuple

import numpy as np

from evaluation.tasks.ranked_users import NO_ITEM

K = 10  # recommended items that coverage and popularity cover


class Lists(NamedTuple):
    """Recommended items of the ranked users.

    Attributes:
        user_positions: position of each user among the distinct test users, [n].
        hits: whether each recommended item is relevant, [n, length].
        num_relevant: number of relevant test items of each user, [n].
        indices: index of each recommended item in the catalogue, or NO_ITEM, [n, length].
        popularity: number of training pairs of each item of the catalogue.
        mean_popularity: popularity of a training pair's item, averaged over the training pairs.

    """

    user_positions: np.ndarray
    hits: np.ndarray
    num_relevant: np.ndarray
    indices: np.ndarray
    popularity: np.ndarray
    mean_popularity: float


def recall(lists: Lists, k: int = K) -> np.ndarray:
    """Compute the share of each user's relevant items among the first k, [users]."""
    return lists.hits[:, :k].sum(1) / lists.num_relevant


def ndcg(lists: Lists, k: int = K) -> np.ndarray:
    """Compute each user's normalised discounted cumulative gain (Jarvelin and Kekalainen, 2002)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0], np.cumsum(discounts)])
    hits = lists.hits[:, :k]
    return (hits * discounts[: hits.shape[1]]).sum(1) / best[np.minimum(lists.num_relevant, k)]


def coverage(lists: Lists, k: int = K, rows: Any = slice(None)) -> float:
    """Compute the share of the catalogue that is among the first k of at least one list."""
    indices = np.unique(lists.indices[rows, :k])
    return np.count_nonzero(indices != NO_ITEM) / len(lists.popularity)


def popularity_bias(lists: Lists, k: int = K) -> np.ndarray:
    """Compute the popularity of each user's first k items, [users]; 0 for an empty list.

    It is the mean popularity of the recommended items, divided by that of the items in the
    training pairs. Above 1, the lists prefer popular items more than users do.
    """
    indices = lists.indices[:, :k]
    is_item = indices != NO_ITEM
    totals = np.where(is_item, lists.popularity[indices], 0.0).sum(1)
    return totals / np.maximum(is_item.sum(1), 1) / lists.mean_popularity
