"""Suspicious users: constant ratings, ratings of nearly every item, copies of another user.

None of them enters the quarantine list by itself: whether an account is a person is for the
user to decide.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from data_checks.dataset import CheckedData
from data_checks.duplicates import grouped
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence, counted

MIN_CONSTANT, MIN_COPIED = 20, 5  # ratings of a user
MAX_ITEM_SHARE, MAX_MEDIANS = 0.5, 8  # of all items; times the ratings of the median user
MAX_EXPECTED = 0.05  # such users by chance
PAIR = 2  # the two users compared
MAX_GROUPS, MAX_ITEMS = 2000, 50  # groups of equal users, and items of each, that are tested


def suspicious_users(data: CheckedData) -> Iterator[Finding]:
    """Users with constant ratings, with nearly every item, or with another user's ratings."""
    users, places = np.unique(data.column("user").astype("S"), return_inverse=True)
    counts = np.bincount(places)
    if len(set(data.targets.tolist())) > 1:
        yield from _users_finding(
            users,
            counts,
            _constant(places, counts, data.targets),
            "constant raters",
            f"give one and the same rating {MIN_CONSTANT} times or more",
            "Probably a machine or a careless person: they carry no information.",
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
        _copied(data, places, len(users)),
        "copied users",
        "have exactly the ratings of another user, which chance does not explain",
        "Copied accounts or machines: keep one of each.",
    )


def _users_finding(
    users: np.ndarray, counts: np.ndarray, which: np.ndarray, check: str, said: str, advice: str
) -> Iterator[Finding]:
    if len(which):
        yield Finding(
            check,
            "warning",
            f"{counted(len(which), 'user')} {said}",
            advice,
            len(which),
            len(which) / len(users),
            [
                Occurrence("", users[k].decode("utf-8", "replace"), f"{counts[k]:,} ratings")
                for k in which[:MAX_OCCURRENCES]
            ],
        )


def _constant(places: np.ndarray, counts: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Users whose ratings are all equal, more often than that rating's frequency explains."""
    mean = np.bincount(places, ratings) / counts
    spread = np.bincount(places, (ratings - mean[places]) ** 2) / counts
    alike = np.flatnonzero((spread < 1e-9) & (counts >= MIN_CONSTANT))
    values, which = np.unique(ratings, return_inverse=True)
    share = np.bincount(which) / len(ratings)
    near = np.abs(values[None, :] - mean[alike, None]).argmin(1) if len(alike) else alike
    expected = len(counts) * share[near] ** counts[alike]
    return alike[expected < MAX_EXPECTED]


class _Interactions(NamedTuple):
    """User, item and rating of each pair as numbers, and the matrix [users, items]."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    matrix: sparse.csc_matrix


def _copied(data: CheckedData, places: np.ndarray, num_users: int) -> np.ndarray:
    """Users with exactly the items and ratings of another user.

    Pairs of a separate test set do not count. Groups with the most ratings are tested first:
    with few ratings chance explains a copy.
    """
    own_test = data.splits.test.features is not data.splits.train.features
    counted_pairs = np.flatnonzero(data.used_in_training | (not own_test))
    names = [data.column("item")[counted_pairs].astype("S"), data.targets[counted_pairs]]
    items, ratings = (np.unique(column, return_inverse=True)[1] for column in names)
    users = places[counted_pairs]
    counts = np.bincount(users, minlength=num_users)
    kinds, kind = np.unique(items * (ratings.max() + 1) + ratings, return_inverse=True)
    sums = np.zeros(num_users, "uint64")
    pair_hashes = np.random.default_rng(0).integers(0, 2**64, len(kinds), "uint64")
    np.add.at(sums, users, pair_hashes[kind])
    alike = [members for members in grouped(sums) if counts[members[0]] >= MIN_COPIED]
    alike.sort(key=lambda members: -int(counts[members[0]]))
    matrix = sparse.csc_matrix((np.ones(len(users)), (users, items)))
    interactions = _Interactions(users, items, ratings, matrix)
    peers = np.bincount(counts)
    found = [
        members
        for members in alike[:MAX_GROUPS]
        if _expected(interactions, members, int(peers[counts[members[0]]])) < MAX_EXPECTED
    ]
    return np.concatenate(found) if found else np.empty(0, "int64")


def _expected(interactions: _Interactions, members: np.ndarray, peers: int) -> float:
    """Expected number of pairs of equal users by chance, among `peers` users of as many ratings.

    An upper bound of the chance to have the same items is a chain: each item is taken as often
    as by users of the earlier item that predicts it best, so that items that belong together,
    such as the parts of a series, prove nothing. The two users in question do not count.
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
    for place in range(1, len(items)):
        chance += np.log(min(1.0, max(alone[place], conditional[:place, place].max())))
    for item, rating in zip(items, ratings, strict=True):
        given = interactions.ratings[interactions.items == item]
        same = np.count_nonzero(given == rating) - PAIR
        chance += np.log((same + 1) / (len(given) - PAIR + 1))
    return float(peers * (peers - 1) * np.exp(chance))
