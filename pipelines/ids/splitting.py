"""Split interactions of users and items: random pairs or the newest pairs are the test set."""

import dataclasses
from typing import Literal

import numpy as np

from pipelines import hash_splits
from pipelines.examples import Examples
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.splits import SplitRequest, Splits, hash_assignments, split_windows
from pipelines.tables.cell_hashes import hash_rows
from pipelines.tables.cells import Cells
from pipelines.time_splits import rank_window

Split = Literal["auto", "time", "user_time", "random", "new_items", "new_users"]
# Validation takes 200 of the pairs that are not test, within these shares.
NUM_VALID_PAIRS, MIN_VALID_SHARE, MAX_VALID_SHARE = 200, 0.02, 0.1
# Share of test pairs of cold-start users above which `auto` tests the newest pairs per user.
MAX_UNKNOWN_USER_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class RandomPairs:
    """Assigns pairs to test and validation by their hash."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, request: SplitRequest
    ) -> np.ndarray:
        """Assign each pair to TRAIN, VALID or TEST."""
        assignment = hash_assignments(examples, classes, request, valid_share=0.0)
        if request.valid:
            # These bits of the hash are independent of those that choose the test set.
            _assign_validation(assignment, examples.split_hashes() / 2.0**64 * 2.0**20 % 1)
        return assignment

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return a note on how the test set was made."""
        note = f"the test pairs are drawn at random; {_cold_start_note(splits)}"
        return (note,) if request.test else ()


@dataclasses.dataclass(frozen=True)
class NewIds:
    """Assigns all pairs of a fifth of the items, or users, to test, by the hash of the id.

    Validation takes pairs of the others.

    Attributes:
        side: user or item.

    """

    side: Literal["user", "item"]

    def assign(
        self,
        examples: Examples,
        classes: np.ndarray | None,  # noqa: ARG002
        request: SplitRequest,
    ) -> np.ndarray:
        """Assign each pair to TRAIN, VALID or TEST."""
        column = examples.numpy().features[self.side]
        names = distinct_ids(column)
        hashes = hash_rows({self.side: Cells.of(names.tolist())}, len(names))
        windows, index = split_windows(request, valid_share=0.0)
        assignment = hash_splits.assign(hashes, None, windows, index)[number_ids(names, column) - 1]
        if request.valid:
            _assign_validation(assignment, examples.split_hashes() / 2.0**64)
        return assignment

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return a note on how the test set was made."""
        count = len(distinct_ids(splits.test.numpy().features[self.side]))
        note = f"the test pairs are all pairs of {count} {self.side}s, which training does not see"
        return (note,) if request.test else ()


@dataclasses.dataclass(frozen=True, eq=False)
class NewestPairs:
    """Assigns the newest pairs to test, and the newest of the others to validation.

    Folds have a rolling origin: pairs are sorted by time and cut into parts; fold k trains on the
    k oldest parts and is tested on the next one. Newer pairs are unused, so that no model is
    trained on the future of its test set.

    Attributes:
        ages: the rank of every stored pair by time, from 0 (oldest) to 1.
        rule: the rule in words, for the user.
        per_user: whether ranks are among the pairs of the same user.

    """

    ages: np.ndarray
    rule: str
    per_user: bool = False

    def assign(
        self,
        examples: Examples,
        classes: np.ndarray | None,  # noqa: ARG002
        request: SplitRequest,
    ) -> np.ndarray:
        """Assign each pair to TRAIN, VALID, TEST or UNUSED."""
        ages, count = self.ages[examples.rows], len(examples)
        rank = np.empty(count, "int64")
        rank[np.lexsort((examples.split_hashes(), ages))] = np.arange(count)
        start, end = rank_window(count, request)
        assignment = np.full(count, hash_splits.TRAIN, "uint8")
        assignment[rank >= start] = hash_splits.TEST
        assignment[rank >= end] = hash_splits.UNUSED
        if request.valid:
            _assign_validation(assignment, -rank)
        return assignment

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return a note on how the test set was made."""
        rule = f"the newest {self.rule}"
        if request.fold:
            number, num_folds = request.fold
            part = f"part {number + 1} of {num_folds + 1}"
            rule = f"{part} {self.rule}, and training has the older parts"
        return (f"the test pairs are {rule}; {_cold_start_note(splits)}",) if request.test else ()


def newest_pairs(times: np.ndarray, column: str) -> NewestPairs:
    """Make the scheme that tests the newest pairs of all users."""
    return NewestPairs(_time_ranks(np.zeros(len(times), "int64"), times), f"by {column}")


def newest_pairs_per_user(examples: Examples, times: np.ndarray, column: str) -> NewestPairs:
    """Make the scheme that tests the same share of the newest pairs of each user."""
    names = examples.numpy().features["user"]
    users = number_ids(distinct_ids(names), names) - 1
    # The hash decides how the test share is rounded for users with few pairs.
    offset = examples.split_hashes() / 2.0**64 * 2.0**20 % 1
    return NewestPairs(
        _time_ranks(users, times, offset), f"of each user by {column}", per_user=True
    )


def _time_ranks(
    users: np.ndarray, times: np.ndarray, offset: np.ndarray | float = 0.5
) -> np.ndarray:
    """Return the relative rank of each pair by time among the pairs of its user."""
    order = np.lexsort((times, users))
    counts = np.bincount(users)
    first = np.cumsum(counts) - counts
    rank = np.empty(len(times))
    rank[order] = np.arange(len(times)) - first[users[order]]
    return (rank + offset) / counts[users]


def choose_scheme(
    split: Split, examples: Examples, times: np.ndarray | None, column: str, *, official: bool
) -> RandomPairs | NewestPairs | NewIds:
    """Choose the split scheme.

    `auto` takes the newest pairs, or the newest pairs per user if most of the former are of
    cold-start users. Without times, with equal times or with an `official` test set it takes
    random pairs.
    """
    if split in ("new_items", "new_users"):
        return NewIds("item" if split == "new_items" else "user")
    if times is None or split == "random" or (split == "auto" and (official or _all_equal(times))):
        return RandomPairs()
    scheme = newest_pairs(times, column)
    if split == "time":
        return scheme
    per_user = newest_pairs_per_user(examples, times, column)
    if split == "user_time":
        return per_user
    assignment = scheme.assign(examples, None, SplitRequest())
    share = _unknown_user_share(
        examples, assignment == hash_splits.TRAIN, assignment == hash_splits.TEST
    )
    if share <= MAX_UNKNOWN_USER_SHARE:
        return scheme
    reason = f"(--split time would test {share:.0%} pairs of users unknown to training)"
    return dataclasses.replace(per_user, rule=f"{per_user.rule} {reason}")


def _all_equal(times: np.ndarray) -> bool:
    return len(times) > 0 and bool((times == times[0]).all())


def _assign_validation(assignment: np.ndarray, order: np.ndarray) -> None:
    """Assign the first training pairs in this order to validation."""
    rest = np.flatnonzero(assignment == hash_splits.TRAIN)
    share = np.clip(NUM_VALID_PAIRS / max(1, len(rest)), MIN_VALID_SHARE, MAX_VALID_SHARE)
    first = np.argsort(order[rest], kind="stable")[: int(np.ceil(share * len(rest)))]
    assignment[rest[first]] = hash_splits.VALID


def _unknown_user_share(examples: Examples, train: np.ndarray, test: np.ndarray) -> float:
    users = examples.numpy().features["user"]
    return float(np.mean(number_ids(users[train], users[test]) == 0))


def _cold_start_note(splits: Splits) -> str:
    train, test = (part.numpy().features["user"] for part in (splits.train, splits.test))
    unknown = int(np.sum(number_ids(train, test) == 0))
    return f"{unknown} of {len(splits.test)} are of users unknown to training"
