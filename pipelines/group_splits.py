"""Splits that keep all rows of a group, such as a customer or a patient, together."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from pipelines import hash_splits
from pipelines.examples import DataError, Examples
from pipelines.split_notes import absent_class_notes, copies_notes
from pipelines.splits import SplitRequest, Splits, split_windows

NO_GROUP = np.uint64(0)  # the hash of an empty cell


@dataclasses.dataclass(frozen=True)
class GroupScheme:
    """Assigns whole groups of examples to splits by the hash of the group's cell.

    The hash of the cell alone decides, with the exceptions of `hash_splits.assign`: fewer than 300
    groups are cut by the rank of the hash. Classes are stratified by the rarest class of each
    group, unless a split or a fold would get no group.

    Attributes:
        column: the column of groups.

    """

    column: str

    def assign(
        self, examples: Examples, classes: np.ndarray | None, request: SplitRequest
    ) -> np.ndarray:
        """Assign each example to TRAIN, VALID or TEST."""
        groups, group = np.unique(examples.split_hashes(), return_inverse=True)
        self._require_enough(len(groups), request)
        assignment = None
        if classes is not None:
            assignment = _stratified(groups, _rarest_classes(group, classes), request)
        if assignment is None:
            windows, index = split_windows(request)
            assignment = hash_splits.assign(groups, None, windows, index)
        return assignment[group]

    def _require_enough(self, count: int, request: SplitRequest) -> None:
        if request.fold:
            # Two folds of three groups leave one group for both training and validation.
            needed, purpose = max(request.fold.of, 3), f"{request.fold.of} folds"
            needed = max(needed, 4) if request.fold.of == 2 else needed
        elif request.test or request.valid:
            needed = 3 if request.test else 2
            purpose = "train, validation and test" if request.test else "train and validation"
        else:
            return
        if count < needed:
            raise DataError(
                f"Received --group {self.column}, a column with {count} "
                f"group{'s' * (count != 1)}; expected at least {needed} for {purpose}. Name "
                "a column with more different values, or leave --group out."
            )

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return how many groups each split has, and what the splits have in common."""
        return (
            *self._count_notes(splits, request),
            *(copies_notes(splits) if request.test else ()),
            *absent_class_notes(splits),
        )

    def _count_notes(self, splits: Splits, request: SplitRequest) -> Iterator[str]:
        train, valid, test = (
            np.unique(_known_groups(part)) for part in (splits.train, splits.valid, splits.test)
        )
        if request.test:
            yield (
                f"rows of one {self.column!r} are in one split: {len(train)} groups in train, "
                f"{len(valid)} in validation, {len(test)} in test"
            )
        elif request.valid:
            yield (
                f"rows of one {self.column!r} are in one split: {len(train)} groups in train, "
                f"{len(valid)} in validation; the test set is separate"
            )
        if not request.valid:
            yield from self._shared_note("validation", splits.valid, train)
        if not request.test:
            yield from self._shared_note("test", splits.test, np.union1d(train, valid))

    def _shared_note(self, name: str, part: Examples, training: np.ndarray) -> Iterator[str]:
        """Yield a note on the groups that an official split has in common with training."""
        others = "train or validation" if name == "test" else "train"
        if part.group_hashes is None:
            yield (
                f"the {name} data have no column {self.column!r}, so it is unknown which of its "
                f"groups are in {others} too"
            )
            return
        groups = _known_groups(part)
        shared = hash_splits.are_in(groups, training)
        yield (
            f"{len(np.unique(groups[shared]))} of the {len(np.unique(groups))} {self.column!r} "
            f"groups of {name} are in {others} too, with {int(shared.sum())} of "
            f"{len(part)} rows"
        )


def _known_groups(examples: Examples) -> np.ndarray:
    """Return the hash of the group of each example that has one."""
    if examples.group_hashes is None:
        return np.empty(0, "uint64")
    hashes = examples.group_hashes[examples.rows]
    return hashes[hashes != NO_GROUP]


def _rarest_classes(group: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return for each group the class among its examples that is rarest in all of them."""
    names, number, counts = np.unique(classes, return_inverse=True, return_counts=True)
    by_count = np.argsort(counts, kind="stable")
    rank = np.empty(len(names), "int64")
    rank[by_count] = np.arange(len(names))
    rarest = np.full(group.max() + 1, len(names))
    np.minimum.at(rarest, group, rank[number])
    return rarest


def _stratified(
    groups: np.ndarray, classes: np.ndarray, request: SplitRequest
) -> np.ndarray | None:
    """Assign groups to splits class by class; None if a split of some fold would be empty."""
    windows, index = split_windows(request)
    num_splits = 1 + bool(windows[0].test) + bool(windows[0].valid)
    assignments = [
        hash_splits.assign(groups, classes, windows, number, min_class_examples=1)
        for number in range(len(windows))
    ]
    if any(len(np.unique(assignment)) < num_splits for assignment in assignments):
        return None
    return assignments[index]
