"""Splits by time: training has the oldest examples, validation and test the newest."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines import hash_splits
from pipelines.examples import DataError, Examples
from pipelines.split_notes import absent_class_notes, copies_notes
from pipelines.splits import TEST_SHARE, VALID_SHARE, SplitRequest, Splits
from pipelines.tables.cell_formats import format_time

SECONDS_PER_DAY = 86_400  # seconds


def rank_window(count: int, request: SplitRequest) -> tuple[int, int]:
    """Return the first rank by time of the test set, and the rank after its last one.

    Folds have a rolling origin: examples are sorted by time and cut into parts of one size; fold k
    is tested on part k + 1 and trained on the older ones.
    """
    if request.fold is None:
        share = TEST_SHARE * request.test
        return count - max(round(share * count), int(request.test)), count
    number, num_folds = request.fold
    return count * number // (num_folds + 1), count * (number + 1) // (num_folds + 1)


@dataclasses.dataclass(frozen=True)
class TimeScheme:
    """Assigns the newest examples to test, and the newest of the others to validation.

    Examples of equal times are in one split. In a fold newer examples than those of test are
    unused, so that no model is trained on the future of its test set.

    Attributes:
        column: the column of times.
        are_dates: whether times are dates in seconds since 1970.
        reading: how the times were read, for the user.

    """

    column: str
    are_dates: bool
    reading: str

    def assign(
        self,
        examples: Examples,
        classes: np.ndarray | None,  # noqa: ARG002
        request: SplitRequest,
    ) -> np.ndarray:
        """Assign each example to TRAIN, VALID, TEST or UNUSED."""
        _, number, counts = np.unique(times_of(examples), return_inverse=True, return_counts=True)
        self._require_enough(len(counts), request)
        ends = np.cumsum(counts)
        start, stop = _test_times(ends, request)
        assignment = np.full(len(number), hash_splits.TRAIN, "uint8")
        if request.valid:
            share = VALID_SHARE / (1 - TEST_SHARE * (request.test and not request.fold))
            first_rank = ends[start - 1] * (1 - share)
            assignment[number >= _nearest(ends[:start], [first_rank], first=1)[0]] = (
                hash_splits.VALID
            )
        assignment[number >= start] = hash_splits.TEST
        assignment[number >= stop] = hash_splits.UNUSED
        return assignment

    def _require_enough(self, count: int, request: SplitRequest) -> None:
        if request.fold:
            needed, purpose = request.fold.of + 2, f"{request.fold.of} folds"
        else:
            needed = 1 + request.test + request.valid
            purpose = "train, validation and test" if request.test else "train and validation"
        if count < needed:
            raise DataError(
                f"Received --by-time {self.column}, a column with {count} different "
                f"time{'s' * (count != 1)}; expected at least {needed} for {purpose}, because "
                "rows of equal times stay together. Name another column, or leave --by-time out."
            )

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return which times each split has."""
        return (
            self._times_note(splits, request) + f" ({self.reading})" * bool(self.reading),
            *(() if request.test else self._order_notes(splits)),
            *(copies_notes(splits) if request.test else ()),
            *absent_class_notes(splits),
        )

    def _times_note(self, splits: Splits, request: SplitRequest) -> str:
        if not request.test and not request.valid:
            return (
                f"the data have validation and test splits, so {self.column!r} cuts off none; "
                "--folds uses it"
            )
        valid = f"validation from {self._first(splits.valid)} on" if request.valid else ""
        test = f"test from {self._first(splits.test)} on" if request.test else ""
        if request.fold:
            number, num_folds = request.fold
            last = self._text(times_of(splits.test).max())
            return (
                f"fold {number} of {num_folds} by {self.column!r}: {valid}, {test} until {last}; "
                "newer rows are unused"
            )
        made = " and ".join(["validation"] * bool(valid) + ["test"] * bool(test))
        both = bool(valid) and bool(test)
        kept = "" if both else f"; the {'test' if valid else 'validation'} data are used as given"
        cuts = ", ".join(filter(None, (valid, test)))
        verb = "are" if both else "is"
        return f"{made} {verb} the newest rows by {self.column!r}: {cuts}{kept}"

    def _first(self, examples: Examples) -> str:
        return self._text(times_of(examples).min())

    def _order_notes(self, splits: Splits) -> Iterator[str]:
        """Yield a note on separate test rows that are older than training rows."""
        if splits.test.times is None:
            yield f"the test data have no column {self.column!r}, so their times are unknown"
            return
        newest = np.nanmax(np.concatenate([times_of(splits.train), times_of(splits.valid)]))
        older = int((times_of(splits.test) < newest).sum())
        yield (
            f"{older} of {len(splits.test)} test rows are older than the newest row of train and "
            f"validation, {self._text(newest)}"
        )

    def _text(self, time: float) -> str:
        return format_time(time / SECONDS_PER_DAY) if self.are_dates else f"{time:.15g}"


def times_of(examples: Examples) -> np.ndarray:
    """Return the time of each example; NaN for unknown times."""
    if examples.times is None:
        return np.full(len(examples), np.nan)
    return examples.times[examples.rows]


def _test_times(ends: np.ndarray, request: SplitRequest) -> tuple[int, int]:
    """Return the position of the first distinct time of the test set, and that after its last.

    `ends` [distinct times] is the number of examples up to each time.
    """
    if request.fold is None:
        if not request.test:
            return len(ends), len(ends)
        first_rank = rank_window(int(ends[-1]), request)[0]
        return _nearest(ends, [first_rank], first=1 + request.valid)[0], len(ends)
    number, num_folds = request.fold
    folds = [request._replace(fold=request.fold._replace(number=k + 1)) for k in range(num_folds)]
    starts = [rank_window(int(ends[-1]), fold)[0] for fold in folds]
    cuts = [*_nearest(ends, starts, first=2), len(ends)]
    return cuts[number - 1], cuts[number]


def _nearest(ends: np.ndarray, ranks: Sequence[float], first: int) -> list[int]:
    """Return the cuts between distinct times that are nearest to some ranks.

    The first cut leaves `first` times or more before it; cuts differ, and the last one leaves a
    time after it.
    """
    cuts = [1 + int(np.abs(ends[:-1] - rank).argmin()) for rank in ranks]
    for k in range(len(cuts)):
        cuts[k] = max(cuts[k], first if k == 0 else cuts[k - 1] + 1)
    limit = len(ends) - 1
    for k in reversed(range(len(cuts))):
        cuts[k] = limit = min(cuts[k], limit)
        limit -= 1
    return cuts
