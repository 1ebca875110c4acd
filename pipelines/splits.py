"""Disjoint train, validation and test splits."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipelines import hash_splits
from pipelines.class_balance import balanced_class_weights
from pipelines.examples import DataError, Examples
from pipelines.folds import training_folds
from pipelines.label_sets import strata
from pipelines.split_notes import absent_class_notes, copies_notes

VALID_SHARE = 0.1
TEST_SHARE = 0.2


class Source(NamedTuple):
    """The examples of a data address before missing splits are cut off.

    `labels` are the class names of the target; `notes` are lines for the user about what reading
    left out. `reading` says how the cells of rows are read, `scheme` how splits are cut off;
    `column_table` describes the columns of a table.
    """

    train: Examples
    valid: Examples | None = None
    test: Examples | None = None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reading: Any = None
    scheme: "SplitScheme | None" = None
    column_table: Any = None

    @property
    def form(self) -> tuple:
        """Shapes, dtypes and labels, which another source must have in common with this one."""
        return *(self.train.spec.values()), self.labels


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Raw, unbatched examples in disjoint splits: disjoint by content, or by row for tables.

    Attributes:
        train: training examples.
        valid: validation examples.
        test: test examples.
        labels: class names, if the target is a class.
        dropped: number of training examples left out, since an official split holds their input.
        notes: lines for the user.
        noise_floor: lowest root mean squared error that a model can reach, if known.
        dropped_duplicates: the examples left out as duplicates, by split.
        quarantine: what a quarantine list removed.
        reading_notes: the notes of reading, without those of splitting.
        scheme: how the examples are split.
        reading: how the cells of rows are read.
        column_table: describes the columns of a table.
        balance: whether all classes have the same total weight in training and validation.
        contents: tables of the items and the users of a recommender, by side.

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
    column_table: Any = None
    balance: bool = False
    contents: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give training rows, and only these, the folds of their target statistics.

        If classes are balanced, give training and validation the weights of the classes.
        """
        if self.balance:
            weights = balanced_class_weights(self.train, len(self.labels))
            for name, class_weights in (("train", weights), ("valid", weights), ("test", None)):
                part = dataclasses.replace(getattr(self, name), class_weights=class_weights)
                object.__setattr__(self, name, part)
        for name in ("train", "valid", "test"):
            part = getattr(self, name)
            folds = training_folds(part) if name == "train" else None
            if folds is not None or part.folds is not None:
                object.__setattr__(self, name, dataclasses.replace(part, folds=folds))

    @property
    def is_multilabel(self) -> bool:
        """Whether an example has any number of classes: 1 or 0 for each."""
        return bool(self.labels) and self.train.target.ndim > 1

    @property
    def sizes(self) -> dict[str, int]:
        """Number of examples in each split."""
        return {name: len(getattr(self, name)) for name in ("train", "valid", "test")}

    @property
    def spec(self) -> dict[str, Any]:
        """Shape and dtype of one raw example's features and target."""
        return self.train.spec

    def fingerprint(self) -> str:
        """Return a digest of the splits, which changes with the data and with the membership."""
        form = (self.spec, self.labels, *(one.digest() for one in self.contents.values()))
        digest = hashlib.blake2b(repr(form).encode(), digest_size=16)
        for part in (self.train, self.valid, self.test):
            columns = (part.content_hashes(), part.target_keys, part.weights)
            parts = [column for column in columns if column is not None]
            order = np.lexsort(parts[::-1])
            for values in parts:
                digest.update(np.ascontiguousarray(values[order]).tobytes())
        return digest.hexdigest()


class Fold(NamedTuple):
    """Fold `number` of `of` folds of a cross-validation; the first has number 1."""

    number: int
    of: int


class SplitRequest(NamedTuple):
    """The splits to make: those that a source lacks, or those of a fold."""

    test: bool = True
    valid: bool = True
    fold: Fold | None = None


class SplitScheme(Protocol):
    """A rule that assigns examples to splits."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, request: SplitRequest
    ) -> np.ndarray:
        """Assign each example to TRAIN, VALID, TEST or UNUSED."""

    def notes(self, splits: "Splits", request: SplitRequest) -> tuple[str, ...]:
        """Return lines for the user about splits made by `assign`."""


class HashScheme:
    """Splits by the hash of each example; see `hash_splits.assign`."""

    def assign(
        self, examples: Examples, classes: np.ndarray | None, request: SplitRequest
    ) -> np.ndarray:
        """Take one window of the hashes for test, the next for validation; a fold shifts them."""
        return hash_assignments(examples, classes, request)

    def notes(self, splits: "Splits", request: SplitRequest) -> tuple[str, ...]:
        """Note that the test set is cut from training examples, or shares inputs with them."""
        if splits.test.row_hashes is None:
            if request.fold or request.valid or not request.test:
                return ()
            count, total = len(splits.test), len(splits.test) + len(splits.train)
            return (
                f"there is no test split: {count} of the {total} training examples are the test "
                "set, and the validation split is used as it is",
            )
        return tuple(copies_notes(splits))


def hash_assignments(
    examples: Examples,
    classes: np.ndarray | None,
    request: SplitRequest,
    valid_share: float = VALID_SHARE,
) -> np.ndarray:
    """Assign each example to a split by its hash."""
    windows, index = split_windows(request, valid_share)
    return hash_splits.assign(examples.split_hashes(), classes, windows, index)


def split_windows(
    request: SplitRequest, valid_share: float = VALID_SHARE
) -> tuple[list[hash_splits.Window], int]:
    """Return the windows of the hashes of all folds, and the index of the requested one."""
    if request.fold is None:
        test, valid = TEST_SHARE * request.test, valid_share * request.valid
        return [hash_splits.Window(0.0, test, valid)], 0
    number, num_folds = request.fold
    valid = valid_share * (1 - 1 / num_folds)
    windows = [hash_splits.Window(k / num_folds, 1 / num_folds, valid) for k in range(num_folds)]
    return windows, number - 1


def split_source(source: Source, scheme: SplitScheme | None = None) -> Splits:
    """Cut off the splits that a source lacks: by default a fifth for test, a tenth for validation.

    Official validation and test splits stay as they are. Drops the training copy of a validation
    example, and both copies of a test example. Table rows may be equal by chance: a row is a copy
    only if it occurs once in training and has the same inputs and target.
    Raises DataError if a split would be empty.
    """
    _require_examples(source)
    scheme, examples = scheme or source.scheme or HashScheme(), source.train.hashed()
    valid, test = (None if part is None else part.hashed() for part in source[1:3])
    dropped_duplicates: dict[str, Examples] = {}
    if valid is not None and test is not None:
        valid, dropped_duplicates["valid"] = _separate_copies(valid, [test])
    held_out = [part for part in (valid, test) if part is not None]
    examples, dropped_duplicates["train"] = _separate_copies(
        examples, [*held_out, *dropped_duplicates.values()]
    )
    request = SplitRequest(test is None, valid is None)
    parts = _parts(examples, scheme, source.labels, request)
    splits = Splits(
        train=parts[hash_splits.TRAIN],
        valid=parts[hash_splits.VALID] if valid is None else valid,
        test=parts[hash_splits.TEST] if test is None else test,
        labels=source.labels,
        dropped=len(dropped_duplicates["train"]),
        reading_notes=source.notes,
        reading=source.reading,
        column_table=source.column_table,
        dropped_duplicates=dropped_duplicates,
        scheme=scheme,
    )
    return _checked(splits, request)


def _require_examples(source: Source) -> None:
    for name, part in (("validation", source.valid), ("test", source.test)):
        if part is not None and not len(part):
            raise DataError(
                f"Received {name} data without a usable row: {'; '.join(source.notes)}. "
                "Expected rows with a target. Fill in the target, or give other data."
            )


def split_fold(splits: Splits, fold: Fold) -> Splits:
    """Split the same examples for a fold: the fold is test, a part of the rest is validation.

    An official test split is not used. Raises DataError if a split would be empty.
    """
    parts = [splits.train, splits.valid, splits.test]
    pooled = [part for part in parts if part.features is splits.train.features]
    rows = np.sort(np.concatenate([part.rows for part in pooled]))
    examples = dataclasses.replace(splits.train, rows=rows)
    request = SplitRequest(fold=fold)
    train, valid, test = _parts(examples, splits.scheme, splits.labels, request)
    return _checked(dataclasses.replace(splits, train=train, valid=valid, test=test), request)


def _parts(
    examples: Examples, scheme: SplitScheme, labels: tuple[str, ...], request: SplitRequest
) -> tuple[Examples, Examples, Examples]:
    """Return train, validation and test; those not requested are empty."""
    assignment = scheme.assign(examples, strata(examples.targets) if labels else None, request)
    sides = (hash_splits.TRAIN, hash_splits.VALID, hash_splits.TEST)
    train, valid, test = (examples.select(np.flatnonzero(assignment == split)) for split in sides)
    return train, valid, test


def _separate_copies(examples: Examples, held_out: Sequence[Examples]) -> tuple[Examples, Examples]:
    """Separate the examples that repeat a held-out example from the others."""
    if not any(map(len, held_out)):
        return examples, examples.select(np.arange(0))
    if examples.row_hashes is None:
        hashes, others = examples.content_hashes(), [part.content_hashes() for part in held_out]
        repeated = np.ones(len(hashes), bool)
    else:
        hashes, others = examples.pair_hashes(), [part.pair_hashes() for part in held_out]
        _, number, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        repeated = counts[number] == 1
    repeated &= hash_splits.are_in(hashes, np.concatenate(others))
    return examples.select(np.flatnonzero(~repeated)), examples.select(np.flatnonzero(repeated))


def _checked(splits: Splits, request: SplitRequest) -> Splits:
    """Add the notes on splitting. Raises DataError if a split is empty."""
    empty = [name for name, size in splits.sizes.items() if not size]
    if empty:
        raise DataError(
            f"Received {sum(splits.sizes.values())} examples, {_distinct(splits)} of them "
            f"distinct, which leaves the {' and '.join(empty)} split empty; expected enough for "
            "all three. Add examples."
        )
    notes = (*splits.reading_notes, *splits.scheme.notes(splits, request))
    notes += tuple(one for one in absent_class_notes(splits, ["train"]) if one not in notes)
    return dataclasses.replace(splits, notes=notes)


def _distinct(splits: Splits) -> int:
    parts = [part.content_hashes() for part in (splits.train, splits.valid, splits.test)]
    return len(np.unique(np.concatenate(parts)))
