"""Users who rate as no person does: always alike, nearly everything, or as somebody else.

None of them gets into the list of what training leaves out: whether an account is a person is
for people to say.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse

from data_checks.dataset import Subject
from data_checks.duplicates import grouped
from data_checks.finding import MOST_SHOWN, Finding, Shown, counted

MIN_CONSTANT, MIN_COPIED = 20, 5  # ratings of a user, below which nothing is said
BUSY, MUCH = 0.5, 8  # of all items; times as many as the middle user
MAX_EXPECTED = 0.05  # users of whom the same would be found by chance
PAIR = 2  # users that are compared
MAX_GROUPS, MAX_ITEMS = 2000, 50  # of users that are alike, and of their items, that are judged


def raters(subject: Subject) -> Iterator[Finding]:
    """Users who rate all alike, nearly everything, or as somebody else does."""
    users, places = np.unique(subject.column("user").astype("S"), return_inverse=True)
    counts = np.bincount(places)
    if len(set(subject.targets.tolist())) > 1:
        yield from _some_users(
            users,
            counts,
            _constant(places, counts, subject.targets),
            "constant raters",
            f"give one and the same rating {MIN_CONSTANT} times or more",
            "A machine, or somebody who does not care: nothing can be learnt from them.",
        )
    num_items = len(set(subject.column("item").tolist()))
    busy = np.flatnonzero((counts > BUSY * num_items) & (counts > MUCH * np.median(counts)))
    if num_items >= 20:
        yield from _some_users(
            users,
            counts,
            busy,
            "users who met nearly everything",
            "met more than half of all items, and eight times as many as is usual",
            "Probably a machine or a test account.",
        )
    yield from _some_users(
        users,
        counts,
        _copied(subject, places, len(users)),
        "copied users",
        "have the very ratings of another user, more than chance explains",
        "An account that was copied, or machines: keep one of each.",
    )


def _some_users(
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
                Shown("", users[k].decode("utf-8", "replace"), f"{counts[k]:,} ratings")
                for k in which[:MOST_SHOWN]
            ],
        )


def _constant(places: np.ndarray, counts: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Users of one rating, given more often than chance explains where that rating is usual."""
    mean = np.bincount(places, ratings) / counts
    spread = np.bincount(places, (ratings - mean[places]) ** 2) / counts
    alike = np.flatnonzero((spread < 1e-9) & (counts >= MIN_CONSTANT))
    values, which = np.unique(ratings, return_inverse=True)
    share = np.bincount(which) / len(ratings)
    near = np.abs(values[None, :] - mean[alike, None]).argmin(1) if len(alike) else alike
    expected = len(counts) * share[near] ** counts[alike]
    return alike[expected < MAX_EXPECTED]


class _Learnt(NamedTuple):
    """Who met what: a user, an item and a rating as numbers for each pair."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    met: sparse.csc_matrix


def _copied(subject: Subject, places: np.ndarray, num_users: int) -> np.ndarray:
    """Users whose pairs and ratings, but for those of a test set of its own, are another's.

    Groups of like users are judged whose ratings are most: the fewer, the likelier chance is.
    """
    own_test = subject.splits.test.features is not subject.splits.train.features
    learnt = np.flatnonzero(subject.trains | (not own_test))
    names = [subject.column("item")[learnt].astype("S"), subject.targets[learnt]]
    items, ratings = (np.unique(column, return_inverse=True)[1] for column in names)
    users = places[learnt]
    counts = np.bincount(users, minlength=num_users)
    kinds, kind = np.unique(items * (ratings.max() + 1) + ratings, return_inverse=True)
    sums = np.zeros(num_users, "uint64")
    marks = np.random.default_rng(0).integers(0, 2**64, len(kinds), "uint64")
    np.add.at(sums, users, marks[kind])
    alike = [members for members in grouped(sums) if counts[members[0]] >= MIN_COPIED]
    alike.sort(key=lambda members: -int(counts[members[0]]))
    met = sparse.csc_matrix((np.ones(len(users)), (users, items)))
    held = _Learnt(users, items, ratings, met)
    peers = np.bincount(counts)
    found = [
        members
        for members in alike[:MAX_GROUPS]
        if _expected(held, members, int(peers[counts[members[0]]])) < MAX_EXPECTED
    ]
    return np.concatenate(found) if found else np.empty(0, "int64")


def _expected(held: _Learnt, members: np.ndarray, peers: int) -> float:
    """How many of `peers` users, of as many ratings, would have the ratings of another by chance.

    An upper bound of the chance to meet the same items is a chain: each of them is met as
    often as by users of the earlier item that tells most of it; so items that belong together,
    such as the parts of a series, prove nothing. The two users in question do not count.
    """
    mine = held.users == members[0]
    items, ratings = held.items[mine], held.ratings[mine]
    columns = held.met[:, items]
    popularity = np.asarray(columns.sum(0)).ravel() - PAIR
    rarest = np.argsort(popularity, kind="stable")[:MAX_ITEMS]
    items, ratings, popularity = items[rarest], ratings[rarest], popularity[rarest]
    columns = columns[:, rarest]
    together = (columns.T @ columns).toarray() - PAIR
    alone = (popularity + 1) / (held.met.shape[0] - PAIR + 1)
    # Row: the item that is known, column: the one that is asked for; of no others half is assumed.
    known = (together + 0.5) / (popularity[:, None] + 1)
    chance = np.log(alone[0])
    for place in range(1, len(items)):
        chance += np.log(min(1.0, max(alone[place], known[:place, place].max())))
    for item, rating in zip(items, ratings, strict=True):
        given = held.ratings[held.items == item]
        same = np.count_nonzero(given == rating) - PAIR
        chance += np.log((same + 1) / (len(given) - PAIR + 1))
    return float(peers * (peers - 1) * np.exp(chance))
