"""Notes for the user on the contents of splits."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines import hash_splits

if TYPE_CHECKING:
    from pipelines.splits import Splits

SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}
MAX_NAMED_CLASSES = 5


def copies_notes(splits: "Splits") -> Iterator[str]:
    """Yield a note on test examples whose inputs occur in train or validation too."""
    training = [part.equality_hashes() for part in (splits.train, splits.valid)]
    hashes = splits.test.equality_hashes()
    count = int(hash_splits.are_in(hashes, np.concatenate(training)).sum())
    if count and splits.test.row_hashes is not None:
        yield (
            f"equal rows are in several splits: {count} of {len(splits.test)} test rows have the "
            "inputs of a row of train or validation"
        )
    elif count:
        yield (
            f"equal texts are in several splits: {count} of {len(splits.test)} test texts occur "
            "in train or validation"
        )


def absent_class_notes(
    splits: "Splits", names: Collection[str] = tuple(SPLIT_NAMES)
) -> Iterator[str]:
    """Yield a note on each of some splits that has no example of some classes."""
    if not splits.labels:
        return
    for name in names:
        counts = getattr(splits, name).class_counts(len(splits.labels))
        absent = [
            repr(label) for label, count in zip(splits.labels, counts, strict=True) if not count
        ]
        if absent:
            more = ", ..." * (len(absent) > MAX_NAMED_CLASSES)
            yield (
                f"no row of {SPLIT_NAMES[name]} has the class{'es' * (len(absent) > 1)} "
                f"{', '.join(absent[:MAX_NAMED_CLASSES])}{more}"
            )
