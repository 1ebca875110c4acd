"""Suspicious users: constant ratings, ratings of nearly every item, copies of another user.

None of them enters the quarantine list by itself: whether an account is a person is for the
user to decide.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from data_checks.dataset import CheckedData
from data_checks.duplicates import group_equal
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence, counted

MIN_CONSTANT, MIN_COPIED = 20, 5  # ratings of a user
MAX_ITEM_SHARE, MAX_MEDIANS = 0.5, 8  # of all items; times the ratings of the median user
MAX_EXPECTED = 0.05  # expected number of such users by chance
PAIR = 2  # the two compared users
MAX_GROUPS, MAX_ITEMS = 2000, 50  # groups of equal users, and items of each, that are tested


def suspicious_users(data: CheckedData) -> Iterator[Finding]:
    """Users with constant ratings, with nearly every item, or with another user's ratings."""
    users, user_index = np.unique(data.column("user").astype("S"), return_inverse=True)
    counts = np.bincount(user_index)
    if len(set(data.targets.tolist())) > 1:
        yield from _users_finding(
            users,
            counts,
            _constant(user_index, counts, data.targets),
            "constant raters",
            f"give one and the same rating {MIN_CONSTANT} times or more",
            "Probably a machine or a careless user: these ratings carry no information.",
        )
    num_items = len(set(data.column("item").tolist()))
    prolific = np.flatnonzero(
        (counts > MAX_ITEM_SHARE * num_items) & (counts > MAX_MEDIANS * np.median(counts))
    )
    if num_items >= 20:
        yield from _users_finding(
            users,
            counts,
            prolific,
            "users with nearly every item",
            "have more than half of all items, and eight times as many as the median user",
            "Probably a machine or a test account.",
        )
    yield from _users_finding(
        users,
        counts,
        _copied(data, user_index, len(users)),
        "copied users",
        "have exactly the ratings of another user, which chance does not explain",
        "Copied accounts or machines: keep one of each.",
    )


def _users_finding(
    users: np.ndarray,
    counts: np.ndarray,
    numbers: np.ndarray,
    check: str,
    problem: str,
    advice: str,
) -> Iterator[Finding]:
    if len(numbers):
        yield Finding(
            check,
            "warning",
            f"{counted(len(numbers), 'user')} {problem}",
            advice,
            len(numbers),
            len(numbers) / len(users),
            [
                Occurrence("", users[k].decode("utf-8", "replace"), f"{counts[k]:,} ratings")
                for k in numbers[:MAX_OCCURRENCES]
            ],
        )


def _constant(user_index: np.ndarray, counts: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Return users with so many equal ratings that the rating's frequency cannot explain it."""
    mean = np.bincount(user_index, ratings) / counts
    spread = np.bincount(user_index, (ratings - mean[user_index]) ** 2) / counts
    alike = np.flatnonzero((spread < 1e-9) & (counts >= MIN_CONSTANT))
    values, value_index = np.unique(ratings, return_inverse=True)
    share = np.bincount(value_index) / len(ratings)
    nearest = np.abs(values[None, :] - mean[alike, None]).argmin(1) if len(alike) else alike
    expected = len(counts) * share[nearest] ** counts[alike]
    return alike[expected < MAX_EXPECTED]


class _Interactions(NamedTuple):
    """User, item and rating of each pair as numbers, and the matrix [users, items]."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    matrix: sparse.csc_matrix


def _copied(data: CheckedData, user_index: np.ndarray, num_users: int) -> np.ndarray:
    """Return users with exactly the items and ratings of another user.

    Pairs of a separate test set do not count. Groups with the most ratings are tested first:
    with few ratings chance explains a copy.
    """
    own_test = data.splits.test.features is not data.splits.train.features
    counted_pairs = np.flatnonzero(data.used_in_training | (not own_test))
    names = [data.column("item")[counted_pairs].astype("S"), data.targets[counted_pairs]]
    items, ratings = (np.unique(column, return_inverse=True)[1] for column in names)
    users = user_index[counted_pairs]
    counts = np.bincount(users, minlength=num_users)
    kinds, kind = np.unique(items * (ratings.max() + 1) + ratings, return_inverse=True)
    sums = np.zeros(num_users, "uint64")
    pair_hashes = np.random.default_rng(0).integers(0, 2**64, len(kinds), "uint64")
    np.add.at(sums, users, pair_hashes[kind])
    alike = [members for members in group_equal(sums) if counts[members[0]] >= MIN_COPIED]
    alike.sort(key=lambda members: -int(counts[members[0]]))
    matrix = sparse.csc_matrix((np.ones(len(users)), (users, items)))
    interactions = _Interactions(users, items, ratings, matrix)
    peers = np.bincount(counts)
    copied = [
        members
        for members in alike[:MAX_GROUPS]
        if _expected(interactions, members, int(peers[counts[members[0]]])) < MAX_EXPECTED
    ]
    return np.concatenate(copied) if copied else np.empty(0, "int64")


def _expected(interactions: _Interactions, members: np.ndarray, peers: int) -> float:
    """Return the expected number of equal pairs by chance, among `peers` users of as many ratings.

    The chance to have the same items is bounded by a chain: the probability of each item given
    the earlier item that predicts it best. So items that belong together, such as the parts of a
    series, are no evidence. The two compared users do not count.
    """
    of_user = interactions.users == members[0]
    items, ratings = interactions.items[of_user], interactions.ratings[of_user]
    columns = interactions.matrix[:, items]
    popularity = np.asarray(columns.sum(0)).ravel() - PAIR
    rarest = np.argsort(popularity, kind="stable")[:MAX_ITEMS]
    items, ratings, popularity = items[rarest], ratings[rarest], popularity[rarest]
    columns = columns[:, rarest]
    together = (columns.T @ columns).toarray() - PAIR
    alone = (popularity + 1) / (interactions.matrix.shape[0] - PAIR + 1)
    # Row: the given item, column: the predicted one; a pseudocount of one half.
    conditional = (together + 0.5) / (popularity[:, None] + 1)
    chance = np.log(alone[0])
    for index in range(1, len(items)):
        chance += np.log(min(1.0, max(alone[index], conditional[:index, index].max())))
    for item, rating in zip(items, ratings, strict=True):
        ratings_of_item = interactions.ratings[interactions.items == item]
        same = np.count_nonzero(ratings_of_item == rating) - PAIR
        chance += np.log((same + 1) / (len(ratings_of_item) - PAIR + 1))
    return float(peers * (peers - 1) * np.exp(chance))
