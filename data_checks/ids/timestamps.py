"""Checks of timestamps: missing, impossible, of mixed units, equal, later in train than test."""

import datetime
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, counted, severity_of
from pipelines.ids import reading as ids
from pipelines.ids.splitting import NewestPairs
from pipelines.tables.timelines import MAX_PLAUSIBLE_TIME, MIN_PLAUSIBLE_TIME, UNITS, parse_timeline

MAX_LATER_SHARE = 0.01  # of the training pairs, later than half of test
MAX_SHARE_OF_ONE_TIME = 0.2  # of all pairs


class Timestamps(NamedTuple):
    """Timestamps of all pairs.

    Attributes:
        values: in the unit of the column; NaN if unreadable.
        seconds: since 1970; NaN if the unit is unknown.

    """

    values: np.ndarray
    seconds: np.ndarray


def times(data: CheckedData) -> Iterator[Finding]:
    """Impossible timestamps, and training pairs that are later than test pairs."""
    timestamps = _timestamps(data)
    if timestamps is None:
        return
    yield from _unreadable(data, timestamps)
    yield from _impossible(data, timestamps)
    yield from _units(data, timestamps)
    yield from _heaped(timestamps)
    yield from _order(data, timestamps)


def _timestamps(data: CheckedData) -> Timestamps | None:
    columns = data.app.make_input_decoder(data.splits)
    name = ids.find_column(data.inspection.tables.train, columns, "time")
    if not name:
        return None
    times_of: dict[int, np.ndarray] = {}
    parts = []
    for part in data.parts:
        origins = part.examples.origins
        if origins is None:
            return None
        if id(origins.source) not in times_of:
            times_of[id(origins.source)] = parse_timeline(origins.source.columns[name]).times
        parts.append(times_of[id(origins.source)][origins.rows[part.examples.rows]])
    values = np.concatenate(parts)
    return Timestamps(values, _seconds(values))


def _seconds(values: np.ndarray) -> np.ndarray:
    """Return seconds since 1970; NaN unless a known unit gives a time from 1980 to 2100."""
    unit = _unit(values)
    seconds = np.full(len(values), np.nan)
    for index, (_, size) in enumerate(UNITS):
        fits = (values / size >= MIN_PLAUSIBLE_TIME) & (values / size < MAX_PLAUSIBLE_TIME)
        chosen = fits & (unit == index)
        seconds[chosen] = values[chosen] / size
    return seconds


def _unit(values: np.ndarray) -> np.ndarray:
    """Return the index in UNITS of each value's likely unit; -1 for none."""
    unit = np.full(len(values), -1)
    for index, (_, size) in enumerate(UNITS):
        unit[(values / size >= MIN_PLAUSIBLE_TIME) & (values / size < MAX_PLAUSIBLE_TIME)] = index
    return unit


def _unreadable(data: CheckedData, timestamps: Timestamps) -> Iterator[Finding]:
    unreadable = np.flatnonzero(~np.isfinite(timestamps.values))
    if len(unreadable):
        yield _finding(
            data,
            "missing times",
            severity_of(len(unreadable) / len(data), error=0.5),
            unreadable,
            "no readable time; they count as the oldest",
            "Fill them in, or name another column with --time.",
        )


def _impossible(data: CheckedData, timestamps: Timestamps) -> Iterator[Finding]:
    future = np.flatnonzero(timestamps.seconds > time.time() + 86_400)
    if len(future):
        yield _finding(
            data,
            "times in the future",
            "warning",
            future,
            "a time in the future",
            "Check the clock or the time zone of their source.",
            to_quarantine=future[data.used_in_training[future]],
        )
    mostly_known = np.isfinite(timestamps.seconds).mean() > 0.5
    not_positive = np.flatnonzero(
        (timestamps.values < 0) | (mostly_known & (timestamps.values == 0))
    )
    if len(not_positive) and len(not_positive) < 0.5 * len(data):
        yield _finding(
            data,
            "times before 1970",
            "warning",
            not_positive,
            "a time of zero or below",
            "Probably a missing-value code: leave the cell empty.",
            to_quarantine=not_positive[data.used_in_training[not_positive]],
        )


def _units(data: CheckedData, timestamps: Timestamps) -> Iterator[Finding]:
    units = _unit(timestamps.values)
    known, counts = np.unique(units[units >= 0], return_counts=True)
    if len(known) > 1:
        rare = known[counts < counts.max()] if counts.min() < counts.max() else known[1:]
        converted = np.flatnonzero(np.isin(units, rare))
        names = " and ".join(UNITS[k][0] for k in known)
        yield _finding(
            data,
            "times in several units",
            "error",
            converted,
            f"a time in another unit: some are {names} since 1970",
            "Convert all to one unit: their order decides the test set.",
            to_quarantine=converted[data.used_in_training[converted]],
        )


def _heaped(timestamps: Timestamps) -> Iterator[Finding]:
    known = timestamps.values[np.isfinite(timestamps.values)]
    if not len(known):
        return
    values, counts = np.unique(known, return_counts=True)
    mode = counts.argmax()
    share = counts[mode] / len(known)
    if share >= MAX_SHARE_OF_ONE_TIME and len(known) >= 20:
        yield Finding(
            "one timestamp",
            severity_of(share, error=0.9),
            f"{share:.0%} of the pairs have the time {_time_text(values[mode])}",
            "Probably the time of storage, not of the interaction: the newest pairs are unknown.",
            int(counts[mode]),
            share,
        )


def _order(data: CheckedData, timestamps: Timestamps) -> Iterator[Finding]:
    """Yield a finding about training pairs that are later than half of the test pairs."""
    train, test = data.numbers_of("train"), data.numbers_of("test")
    test_times = timestamps.values[test]
    test_times = test_times[np.isfinite(test_times)]
    if not len(test_times):
        return
    middle = float(np.median(test_times))
    later = train[timestamps.values[train] > middle]
    share = len(later) / len(train)
    if share >= MAX_LATER_SHARE:
        yield Finding(
            "the future in train",
            severity_of(share, error=0.25) if _by_time(data) else "note",
            f"{counted(len(later), 'training pair is', 'training pairs are')} later than half of "
            f"the test, {_time_text(middle)}",
            "Predicting the past from the future is too easy: split by time (--split time), or "
            "exclude these pairs.",
            len(later),
            share,
            [
                occurrence._replace(
                    detail=_time_text(timestamps.values[occurrence.number])
                    + f": {occurrence.detail}"
                )
                for occurrence in data.occurrences(later[np.argsort(-timestamps.values[later])])
            ],
            later if _by_time(data) else later[:0],
        )


def _by_time(data: CheckedData) -> bool:
    """Whether the test pairs should be the newest: by the split, or in a separate test set."""
    splits = data.splits
    if splits.test.features is not splits.train.features:
        return getattr(data.app, "split", "auto") in ("auto", "time")
    return isinstance(splits.scheme, NewestPairs) and not splits.scheme.per_user


def _finding(
    data: CheckedData,
    check: str,
    severity: Any,
    pairs: np.ndarray,
    problem: str,
    advice: str,
    to_quarantine: np.ndarray | None = None,
) -> Finding:
    return Finding(
        check,
        severity,
        f"{counted(len(pairs), 'pair has', 'pairs have')} {problem}",
        advice,
        len(pairs),
        len(pairs) / len(data),
        data.occurrences(pairs),
        pairs[:0] if to_quarantine is None else to_quarantine,
    )


def _time_text(value: float) -> str:
    """Return a timestamp as text."""
    units = _unit(np.array([value]))
    if units[0] < 0:
        return f"{value:g}"
    seconds = value / UNITS[units[0]][1]
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
