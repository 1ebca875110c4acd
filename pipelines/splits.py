"""Train, validation and test examples that share nothing."""

import dataclasses
import hashlib
from typing import Any, NamedTuple

import numpy as np

from pipelines.examples import DataError, Examples

VALID_SHARE = 0.1
TEST_SHARE = 0.2


class Source(NamedTuple):
    """What an address holds before it is cut.

    `labels` name the classes of the target; `notes` tell the user what reading
    found and left out. `side` is that of the squares to which pictures were
    fitted, where they were.
    """

    train: Examples
    valid: Examples | None = None
    test: Examples | None = None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    side: int | None = None

    @property
    def form(self) -> tuple:
        """What another source must share to be of use with this one."""
        return *(self.train.spec.values()), self.labels


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Raw, unbatched examples, disjoint by content.

    `labels` are the names of the classes where the target is one; `dropped`
    counts the training examples left out because the official test or
    validation split holds the same input, and `doubles` are those of training
    and validation that were; `notes` are lines for the user; `quarantine` tells
    what a list took out of them;
    `floor` is the least root mean squared error that any model can reach, where
    it is known.
    """

    train: Examples
    valid: Examples
    test: Examples
    labels: tuple[str, ...] = ()
    dropped: int = 0
    notes: tuple[str, ...] = ()
    floor: float | None = None
    doubles: dict[str, Examples] = dataclasses.field(default_factory=dict)
    quarantine: dict[str, Any] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Examples in each split."""
        return {name: len(getattr(self, name)) for name in ("train", "valid", "test")}

    @property
    def spec(self) -> dict[str, Any]:
        """Shape and dtype of one raw example's features and target."""
        return self.train.spec

    def fingerprint(self) -> str:
        """A digest of what is in each split: data or membership changed, it changes."""
        digest = hashlib.blake2b(repr((self.spec, self.labels)).encode(), digest_size=16)
        for part in (self.train, self.valid, self.test):
            order = np.argsort(hashes := part.content_hashes(), kind="stable")
            digest.update(hashes[order].tobytes())
            digest.update(np.ascontiguousarray(part.targets[order]).tobytes())
        return digest.hexdigest()


def cut(source: Source, place: np.ndarray | None = None) -> Splits:
    """Cut what a source lacks by the place of each example, a number from 0 to 1.

    The lowest `TEST_SHARE` of the places are test, the next `VALID_SHARE`
    validation. By default the places are those of `Examples.places`; an app may
    give others for all of `source.train`, such as the rank of its time. An
    official validation or test split is kept whole, and what it holds is dropped
    from training. Raises DataError where a split would be empty.
    """
    examples = source.train.hashed()
    valid, test = (None if part is None else part.hashed() for part in source[1:3])
    hashes = examples.content_hashes()
    held = [part.content_hashes() for part in (valid, test) if part is not None]
    doubles: dict[str, Examples] = {}
    if valid is not None and test is not None:
        twice = np.isin(held[0], held[1])
        doubles["valid"] = valid.select(np.flatnonzero(twice))
        valid = valid.select(np.flatnonzero(~twice))
    known = np.isin(hashes, np.concatenate(held)) if held else np.zeros(len(hashes), bool)
    # The share of the hash space decides, so more data never moves an example.
    place = examples.places() if place is None else place
    test_share = TEST_SHARE if test is None else 0.0
    valid_share = VALID_SHARE if valid is None else 0.0
    in_test = ~known & (place < test_share)
    in_valid = ~known & ~in_test & (place < test_share + valid_share)
    splits = Splits(
        train=examples.select(np.flatnonzero(~known & ~in_test & ~in_valid)),
        valid=examples.select(np.flatnonzero(in_valid)) if valid is None else valid,
        test=examples.select(np.flatnonzero(in_test)) if test is None else test,
        labels=source.labels,
        dropped=int(known.sum()),
        notes=source.notes,
        doubles={"train": examples.select(np.flatnonzero(known)), **doubles},
    )
    _require_all(splits)
    return splits


class Fold(NamedTuple):
    """One of `of` parts for cross-validation; the first has number 1."""

    number: int
    of: int


def fold(splits: Splits, which: Fold) -> Splits:
    """Cut the same examples anew: this fold is the test, and a part of the rest validation.

    An official test split stays out of it. Raises DataError where a split would be empty.
    """
    parts = [splits.train, splits.valid, splits.test]
    pooled = [part for part in parts if part.features is splits.train.features]
    rows = np.sort(np.concatenate([part.rows for part in pooled]))
    examples = dataclasses.replace(splits.train, rows=rows)
    shifted = (examples.places() - (which.number - 1) / which.of) % 1.0
    inside = shifted < 1 / which.of
    # Of the rest, the next part of the circle.
    valid = ~inside & (shifted < 1 / which.of + VALID_SHARE * (1 - 1 / which.of))
    folded = dataclasses.replace(
        splits,
        train=examples.select(np.flatnonzero(~inside & ~valid)),
        valid=examples.select(np.flatnonzero(valid)),
        test=examples.select(np.flatnonzero(inside)),
    )
    _require_all(folded)
    return folded


def _require_all(splits: Splits) -> None:
    empty = [name for name, size in splits.sizes.items() if not size]
    if empty:
        raise DataError(
            f"Received {sum(splits.sizes.values())} examples, {_distinct(splits)} of them "
            f"distinct, which leaves the {' and '.join(empty)} split empty; expected enough for "
            "all three. Add examples."
        )


def _distinct(splits: Splits) -> int:
    parts = (splits.train, splits.valid, splits.test)
    return len(np.unique(np.concatenate([part.content_hashes() for part in parts])))
