"""Users who rate as no person does: always alike, nearly everything, or as somebody else."""

from collections.abc import Iterator

import numpy as np

from checking.copies import grouped
from checking.finding import MOST_SHOWN, Finding, Shown, counted
from checking.subject import Subject

ALWAYS = 20  # ratings from which on one and the same is no chance
TELLING = 5  # ratings from which on the same ones are no chance
BUSY, MUCH = 0.5, 8  # of all items; times as many as the middle user


def raters(subject: Subject) -> Iterator[Finding]:
    """Users who rate all alike, nearly everything, or as somebody else does."""
    users, places = np.unique(subject.column("user").astype("S"), return_inverse=True)
    counts = np.bincount(places)
    if len(set(subject.targets.tolist())) > 1:
        mean = np.bincount(places, subject.targets) / counts
        spread = np.bincount(places, (subject.targets - mean[places]) ** 2) / counts
        constant = np.flatnonzero((spread < 1e-9) & (counts >= ALWAYS))
        yield from _some_users(
            users,
            counts,
            constant,
            "constant raters",
            f"give one and the same rating {ALWAYS} times or more",
            "A machine, or somebody who does not care: nothing can be learnt from them.",
            out=_of_users(subject, places, constant),
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
            out=_of_users(subject, places, busy),
        )
    yield from _twins(subject, users, places)


def _of_users(subject: Subject, places: np.ndarray, which: np.ndarray) -> np.ndarray:
    numbers = np.flatnonzero(np.isin(places, which))
    return numbers[subject.trains[numbers]]


def _some_users(
    users: np.ndarray,
    counts: np.ndarray,
    which: np.ndarray,
    check: str,
    said: str,
    advice: str,
    *,
    out: np.ndarray,
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
            out,
        )


def _twins(subject: Subject, users: np.ndarray, places: np.ndarray) -> Iterator[Finding]:
    """Users whose pairs and ratings, but for those of test, are those of another."""
    learnt = np.flatnonzero(subject.trains)
    places, items = places[learnt], subject.column("item")[learnt].tolist()
    pairs = zip(items, subject.targets[learnt].tolist(), strict=True)
    sums, counts = np.zeros(len(users), "uint64"), np.bincount(places, minlength=len(users))
    np.add.at(sums, places, np.array([hash(pair) & 2**63 - 1 for pair in pairs], "uint64"))
    same = [members for members in grouped(sums) if counts[members[0]] >= TELLING]
    if same:
        twins = np.concatenate([members[1:] for members in same])
        out = learnt[np.isin(places, twins)]
        yield from _some_users(
            users,
            counts,
            np.concatenate(same),
            "copied users",
            "have the very ratings of another user",
            "An account that was copied, or machines: keep one of each.",
            out=out,
        )
