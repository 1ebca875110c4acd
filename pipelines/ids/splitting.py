"""Which pairs of a user and an item are test: random ones, or the newest."""

import dataclasses
from typing import Literal

import numpy as np

from pipelines import hash_splits
from pipelines.examples import Examples
from pipelines.splits import TEST_SHARE, SplitRequest, Splits, hash_assignments

Split = Literal["auto", "time", "user_time", "random"]
# Validation is a share of what is not test: 200 pairs, within these shares.
NUM_VALID, MIN_VALID_SHARE, MAX_VALID_SHARE = 200, 0.02, 0.1
MAX_UNKNOWN_SHARE = 0.5  # of test pairs, above which `auto` does not judge by the newest of all


@dataclasses.dataclass(frozen=True)
class RandomPairs:
    """Test and validation pairs are drawn by their hash."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, wanted: SplitRequest
    ) -> np.ndarray:
        """TRAIN, VALID or TEST for each pair."""
        side = hash_assignments(examples, classes, wanted, valid_share=0.0)
        if wanted.valid:
            # Other digits of the hash than those that chose the test.
            _validate(side, examples.split_hashes() / 2.0**64 * 2.0**20 % 1)
        return side

    def notes(self, splits: Splits, wanted: SplitRequest) -> tuple[str, ...]:
        """How the test was made."""
        told = f"the test pairs are drawn at random; {_strangers(splits)}"
        return (told,) if wanted.test else ()


@dataclasses.dataclass(frozen=True, eq=False)
class NewestPairs:
    """Test pairs are the newest; validation pairs are the newest of the others.

    Folds have a rolling origin: the pairs are parted by age, and fold k trains on the k oldest
    parts and is judged on the next one. Newer pairs stay unused, so nothing is predicted from
    its future.

    Attributes:
        ages: of every stored pair, from 0 (oldest) to 1.
        rule: what the user is told.
        of_each: whether ages are among the pairs of the same user.

    """

    ages: np.ndarray
    rule: str
    of_each: bool = False

    def assign(
        self,
        examples: Examples,
        classes: np.ndarray | None,  # noqa: ARG002
        wanted: SplitRequest,
    ) -> np.ndarray:
        """TRAIN, VALID, TEST or UNUSED for each pair."""
        ages, count = self.ages[examples.rows], len(examples)
        rank = np.empty(count, "int64")
        rank[np.lexsort((examples.split_hashes(), ages))] = np.arange(count)
        start, end = self._window(count, wanted)
        side = np.full(count, hash_splits.TRAIN, "uint8")
        side[rank >= start] = hash_splits.TEST
        side[rank >= end] = hash_splits.UNUSED
        if wanted.valid:
            _validate(side, -rank)
        return side

    @staticmethod
    def _window(count: int, wanted: SplitRequest) -> tuple[int, int]:
        """The first rank of the test, and that after its last."""
        if wanted.fold is None:
            share = TEST_SHARE * wanted.test
            return count - max(round(share * count), int(wanted.test)), count
        number, of = wanted.fold
        return count * number // (of + 1), count * (number + 1) // (of + 1)

    def notes(self, splits: Splits, wanted: SplitRequest) -> tuple[str, ...]:
        """How the test was made."""
        rule = f"the newest {self.rule}"
        if wanted.fold:
            number, of = wanted.fold
            rule = f"part {number + 1} of {of + 1} {self.rule}, and training has the older parts"
        return (f"the test pairs are {rule}; {_strangers(splits)}",) if wanted.test else ()


def newest(times: np.ndarray, column: str) -> NewestPairs:
    """The newest pairs of all users are the test."""
    return NewestPairs(_shares(np.zeros(len(times), "int64"), times), f"by {column}")


def newest_of_each(examples: Examples, times: np.ndarray, column: str) -> NewestPairs:
    """The newest pairs of each user are the test, in proportion to all of that user's pairs."""
    users = np.unique(examples.features["user"].astype("S"), return_inverse=True)[1]
    # The hash decides how many of 3 pairs a fifth is.
    part = examples.split_hashes() / 2.0**64 * 2.0**20 % 1
    return NewestPairs(_shares(users, times, part), f"of each user by {column}", of_each=True)


def _shares(owners: np.ndarray, times: np.ndarray, part: np.ndarray | float = 0.5) -> np.ndarray:
    """The place of each pair among those of its owner by time, from 0 to 1."""
    order = np.lexsort((times, owners))
    counts = np.bincount(owners)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(times))
    rank[order] = np.arange(len(times)) - first[owners[order]]
    return (rank + part) / counts[owners]


def choose(
    split: Split, examples: Examples, times: np.ndarray | None, column: str, *, official: bool
) -> RandomPairs | NewestPairs:
    """The scheme that was asked for.

    By itself (`auto`) it is the newest pairs, unless most of those are of users that training
    does not know: then it is the newest of each user. Without times, with equal ones alone, or
    with a test set of its own (`official`), it is random pairs.
    """
    if times is None or split == "random" or (split == "auto" and (official or _same(times))):
        return RandomPairs()
    scheme = newest(times, column)
    if split == "time":
        return scheme
    each = newest_of_each(examples, times, column)
    if split == "user_time":
        return each
    side = scheme.assign(examples, None, SplitRequest())
    share = _unknown(examples, side == hash_splits.TRAIN, side == hash_splits.TEST)
    if share <= MAX_UNKNOWN_SHARE:
        return scheme
    why = f"(--split time would test {share:.0%} pairs of users unknown to training)"
    return dataclasses.replace(each, rule=f"{each.rule} {why}")


def _same(times: np.ndarray) -> bool:
    return len(times) > 0 and bool((times == times[0]).all())


def _validate(side: np.ndarray, order: np.ndarray) -> None:
    """Make the first of the training pairs in this order validation."""
    rest = np.flatnonzero(side == hash_splits.TRAIN)
    share = np.clip(NUM_VALID / max(1, len(rest)), MIN_VALID_SHARE, MAX_VALID_SHARE)
    first = np.argsort(order[rest], kind="stable")[: int(np.ceil(share * len(rest)))]
    side[rest[first]] = hash_splits.VALID


def _unknown(examples: Examples, learnt: np.ndarray, judged: np.ndarray) -> float:
    users = examples.numpy().features["user"]
    known = set(users[learnt])
    return float(np.mean([user not in known for user in users[judged]]))


def _strangers(splits: Splits) -> str:
    known = set(splits.train.numpy().features["user"])
    unknown = sum(user not in known for user in splits.test.numpy().features["user"])
    return f"{unknown} of {len(splits.test)} are of users unknown to training"
