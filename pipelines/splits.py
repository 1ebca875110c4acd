"""Train, validation and test examples that share nothing."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipelines import hash_splits
from pipelines.examples import DataError, Examples

VALID_SHARE = 0.1
TEST_SHARE = 0.2


class Source(NamedTuple):
    """What an address holds before it is cut.

    `labels` name the classes of the target; `notes` tell the user what reading
    found and left out. `reading` is how cells are read, of rows.
    """

    train: Examples
    valid: Examples | None = None
    test: Examples | None = None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reading: Any = None

    @property
    def form(self) -> tuple:
        """What another source must share to be of use with this one."""
        return *(self.train.spec.values()), self.labels


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Raw, unbatched examples, disjoint: by content, or, of rows, by row.

    `labels` are the names of the classes where the target is one; `dropped`
    counts the training examples left out because the official test or
    validation split holds the same input, and `dropped_duplicates` are these examples,
    by split; `notes` are lines for the user; `quarantine` tells what a list took out;
    `noise_floor` is the least root mean squared error that any model can reach, where
    it is known. `reading` is how cells are read, of rows.
    """

    train: Examples
    valid: Examples
    test: Examples
    labels: tuple[str, ...] = ()
    dropped: int = 0
    notes: tuple[str, ...] = ()
    noise_floor: float | None = None
    dropped_duplicates: dict[str, Examples] = dataclasses.field(default_factory=dict)
    quarantine: dict[str, Any] | None = None
    reading_notes: tuple[str, ...] = ()
    scheme: "SplitScheme" = dataclasses.field(default_factory=lambda: HashScheme())
    reading: Any = None

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
            hashes, targets = part.content_hashes(), part.targets
            order = np.lexsort((targets, hashes))
            digest.update(hashes[order].tobytes())
            digest.update(np.ascontiguousarray(targets[order]).tobytes())
        return digest.hexdigest()


class Fold(NamedTuple):
    """One of `of` parts for cross-validation; the first has number 1."""

    number: int
    of: int


class SplitRequest(NamedTuple):
    """What a cut has to find: the splits that a source lacks, or those of a fold."""

    test: bool = True
    valid: bool = True
    fold: Fold | None = None


class SplitScheme(Protocol):
    """How examples are cut."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, wanted: SplitRequest
    ) -> np.ndarray:
        """TRAIN, VALID, TEST or UNUSED for each example; `classes` where the target is one."""

    def notes(self, splits: "Splits", wanted: SplitRequest) -> tuple[str, ...]:
        """What the user should know about these splits, made by `sides`."""


class HashScheme:
    """Splits by the hash of each example; see `hash_splits.assign`."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, wanted: SplitRequest
    ) -> np.ndarray:
        """A window of the hashes is test, the next one validation; a fold shifts the window."""
        return hash_assignments(examples, classes, wanted)

    def notes(self, splits: "Splits", wanted: SplitRequest) -> tuple[str, ...]:
        """Where the test set comes from if not from the data; equal inputs on both sides."""
        if splits.test.row_hashes is None:
            if wanted.fold or wanted.valid or not wanted.test:
                return ()
            count, of = len(splits.test), len(splits.test) + len(splits.train)
            return (
                f"there is no test split: {count} of the {of} training examples are the test "
                "set, and the validation split is kept",
            )
        learnt = [part.content_hashes() for part in (splits.train, splits.valid)]
        count = int(np.isin(splits.test.content_hashes(), np.concatenate(learnt)).sum())
        if not count:
            return ()
        return (
            f"equal rows fall on both sides: {count} of {len(splits.test)} test rows have the "
            "inputs of a row of train or validation",
        )


def hash_assignments(
    examples: Examples,
    classes: np.ndarray | None,
    wanted: SplitRequest,
    valid_share: float = VALID_SHARE,
) -> np.ndarray:
    """The sides of what is wanted, by the hash of each example."""
    hashes = examples.split_hashes()
    if wanted.fold is None:
        one = hash_splits.Window(0.0, TEST_SHARE * wanted.test, valid_share * wanted.valid)
        return hash_splits.assign(hashes, classes, [one])
    number, of = wanted.fold
    valid = valid_share * (1 - 1 / of)
    windows = [hash_splits.Window(k / of, 1 / of, valid) for k in range(of)]
    return hash_splits.assign(hashes, classes, windows, number - 1)


def split_source(source: Source, scheme: SplitScheme | None = None) -> Splits:
    """Cut what a source lacks, by default by hash: a fifth for test, a tenth for validation.

    An official validation or test split is kept whole, and what it holds is dropped from
    training: of texts and pictures every copy. Of rows, which may be equal by chance, those that
    are once in training and have the inputs and the target of one that is held out.
    Raises DataError where a split would be empty.
    """
    scheme = scheme or HashScheme()
    _require_examples(source)
    examples = source.train.hashed()
    valid, test = (None if part is None else part.hashed() for part in source[1:3])
    dropped_duplicates: dict[str, Examples] = {}
    if valid is not None and test is not None:
        valid, dropped_duplicates["valid"] = _parted(valid, [test])
    held = [part for part in (valid, test) if part is not None]
    examples, dropped_duplicates["train"] = _parted(examples, [*held, *dropped_duplicates.values()])
    wanted = SplitRequest(test is None, valid is None)
    parts = _parts(examples, scheme, source.labels, wanted)
    splits = Splits(
        train=parts[hash_splits.TRAIN],
        valid=parts[hash_splits.VALID] if valid is None else valid,
        test=parts[hash_splits.TEST] if test is None else test,
        labels=source.labels,
        dropped=len(dropped_duplicates["train"]),
        reading_notes=source.notes,
        reading=source.reading,
        dropped_duplicates=dropped_duplicates,
        scheme=scheme,
    )
    return _checked(splits, wanted)


def _require_examples(source: Source) -> None:
    for name, part in (("validation", source.valid), ("test", source.test)):
        if part is not None and not len(part):
            raise DataError(
                f"Received {name} data, no row of which can be used: {'; '.join(source.notes)}. "
                "Expected rows with a target. Fill it in, or give other data."
            )


def split_fold(splits: Splits, which: Fold) -> Splits:
    """Cut the same examples anew: this fold is the test, and a part of the rest validation.

    An official test split stays out of it. Raises DataError where a split would be empty.
    """
    parts = [splits.train, splits.valid, splits.test]
    pooled = [part for part in parts if part.features is splits.train.features]
    rows = np.sort(np.concatenate([part.rows for part in pooled]))
    examples = dataclasses.replace(splits.train, rows=rows)
    wanted = SplitRequest(fold=which)
    train, valid, test = _parts(examples, splits.scheme, splits.labels, wanted)
    return _checked(dataclasses.replace(splits, train=train, valid=valid, test=test), wanted)


def _parts(
    examples: Examples, scheme: SplitScheme, labels: tuple[str, ...], wanted: SplitRequest
) -> tuple[Examples, Examples, Examples]:
    """Train, validation and test; empty where they are not wanted."""
    side = scheme.assign(examples, examples.targets if labels else None, wanted)
    sides = (hash_splits.TRAIN, hash_splits.VALID, hash_splits.TEST)
    train, valid, test = (examples.select(np.flatnonzero(side == which)) for which in sides)
    return train, valid, test


def _parted(examples: Examples, held: Sequence[Examples]) -> tuple[Examples, Examples]:
    """What may be learnt beside held-out examples, and what repeats one of them."""
    if examples.row_hashes is None:
        hashes, others = examples.content_hashes(), [part.content_hashes() for part in held]
        again = np.ones(len(hashes), bool)
    else:
        hashes, others = examples.pair_hashes(), [part.pair_hashes() for part in held]
        _, number, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        again = counts[number] == 1
    again &= np.isin(hashes, np.concatenate([np.empty(0, "uint64"), *others]))
    return examples.select(np.flatnonzero(~again)), examples.select(np.flatnonzero(again))


def _checked(splits: Splits, wanted: SplitRequest) -> Splits:
    """The splits with the notes of their cut. Raises DataError where one is empty."""
    empty = [name for name, size in splits.sizes.items() if not size]
    if empty:
        raise DataError(
            f"Received {sum(splits.sizes.values())} examples, {_distinct(splits)} of them "
            f"distinct, which leaves the {' and '.join(empty)} split empty; expected enough for "
            "all three. Add examples."
        )
    notes = (*splits.reading_notes, *splits.scheme.notes(splits, wanted))
    return dataclasses.replace(splits, notes=notes)


def _distinct(splits: Splits) -> int:
    parts = (splits.train, splits.valid, splits.test)
    return len(np.unique(np.concatenate([part.content_hashes() for part in parts])))
