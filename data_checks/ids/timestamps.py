"""Times of ratings: the future in train, other units, none, all the same."""

import datetime
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import Finding, counted, graded
from pipelines.ids import reading as ids
from pipelines.ids.splitting import NewestPairs
from pipelines.ids.timelines import EARLIEST, LATEST, UNITS, timeline

LATER = 0.01  # of the training pairs may be later than the first of test, at a border of one day
BULK = 0.2  # of all pairs at one moment


class Moments(NamedTuple):
    """Times of all pairs in the pool.

    Attributes:
        values: in the unit of the column; NaN where one cannot be read.
        seconds: since 1970, where the column's unit is known; NaN elsewhere.

    """

    values: np.ndarray
    seconds: np.ndarray


def times(subject: Subject) -> Iterator[Finding]:
    """Times that cannot be, and test pairs that are older than what was learnt."""
    moments = _moments(subject)
    if moments is None:
        return
    yield from _unreadable(subject, moments)
    yield from _impossible(subject, moments)
    yield from _units(subject, moments)
    yield from _heaped(moments)
    yield from _order(subject, moments)


def _moments(subject: Subject) -> Moments | None:
    asked = subject.app.make_input_decoder(subject.splits)
    name = ids.found(subject.look.tables.train, asked, "time")
    if not name:
        return None
    known: dict[int, np.ndarray] = {}
    parts = []
    for part in subject.parts:
        origins = part.examples.origins
        if origins is None:
            return None
        if id(origins.read) not in known:
            known[id(origins.read)] = timeline(origins.read.columns[name]).times
        parts.append(known[id(origins.read)][origins.rows[part.examples.rows]])
    values = np.concatenate(parts)
    return Moments(values, _seconds(values))


def _seconds(values: np.ndarray) -> np.ndarray:
    """By size: what is 1980 to 2100 in one of the usual units."""
    unit = _unit(values)
    known = np.full(len(values), np.nan)
    for place, (_, size) in enumerate(UNITS):
        fits = (values / size >= EARLIEST) & (values / size < LATEST)
        chosen = fits & (unit == place)
        known[chosen] = values[chosen] / size
    return known


def _unit(values: np.ndarray) -> np.ndarray:
    """For each time the place in UNITS that it can be in; -1 for none."""
    found = np.full(len(values), -1)
    for place, (_, size) in enumerate(UNITS):
        found[(values / size >= EARLIEST) & (values / size < LATEST)] = place
    return found


def _unreadable(subject: Subject, moments: Moments) -> Iterator[Finding]:
    lost = np.flatnonzero(~np.isfinite(moments.values))
    if len(lost):
        yield _finding(
            subject,
            "missing times",
            graded(len(lost) / len(subject), grave=0.5),
            lost,
            "no time that can be read; they count as the oldest",
            "Fill them in, or name another column with --time.",
        )


def _impossible(subject: Subject, moments: Moments) -> Iterator[Finding]:
    future = np.flatnonzero(moments.seconds > time.time() + 86_400)
    if len(future):
        yield _finding(
            subject,
            "times in the future",
            "warning",
            future,
            "a time that is yet to come",
            "Look at the clock or the time zone that wrote them.",
            out=future[subject.trains[future]],
        )
    usual = np.isfinite(moments.seconds).mean() > 0.5
    absurd = np.flatnonzero((moments.values < 0) | (usual & (moments.values == 0)))
    if len(absurd) and len(absurd) < 0.5 * len(subject):
        yield _finding(
            subject,
            "times before 1970",
            "warning",
            absurd,
            "a time that is zero or negative",
            "A word for unknown, most likely: leave the cell empty.",
            out=absurd[subject.trains[absurd]],
        )


def _units(subject: Subject, moments: Moments) -> Iterator[Finding]:
    units = _unit(moments.values)
    known, counts = np.unique(units[units >= 0], return_counts=True)
    if len(known) > 1:
        rare = known[counts < counts.max()] if counts.min() < counts.max() else known[1:]
        which = np.flatnonzero(np.isin(units, rare))
        names = " and ".join(UNITS[k][0] for k in known)
        yield _finding(
            subject,
            "times in several units",
            "grave",
            which,
            f"a time in another unit: some are {names} since 1970",
            "Bring all to one unit: their order decides what is test.",
            out=which[subject.trains[which]],
        )


def _heaped(moments: Moments) -> Iterator[Finding]:
    known = moments.values[np.isfinite(moments.values)]
    if not len(known):
        return
    values, counts = np.unique(known, return_counts=True)
    most = counts.argmax()
    share = counts[most] / len(known)
    if share >= BULK and len(known) >= 20:
        yield Finding(
            "one moment",
            graded(share, grave=0.9),
            f"{share:.0%} of the pairs have the time {_said(values[most])}",
            "That is when they were stored, not when they were made: the newest are not known.",
            int(counts[most]),
            share,
        )


def _order(subject: Subject, moments: Moments) -> Iterator[Finding]:
    """Pairs of train that are later than what is asked in test."""
    train, test = subject.numbers("train"), subject.numbers("test")
    asked = moments.values[test]
    asked = asked[np.isfinite(asked)]
    if not len(asked):
        return
    # Half of the test has been when these pairs were made.
    border = float(np.median(asked))
    later = train[moments.values[train] > border]
    share = len(later) / len(train)
    if share >= LATER:
        yield Finding(
            "the future in train",
            graded(share, grave=0.25) if _by_time(subject) else "note",
            f"{counted(len(later), 'training pair is', 'training pairs are')} later than half of "
            f"the test, {_said(border)}",
            "A test of the past by the future is too easy: cut by time (--split time), or leave "
            "these out.",
            len(later),
            share,
            [
                one._replace(said=f"{_said(moments.values[one.number])}: {one.said}")
                for one in subject.shown(later[np.argsort(-moments.values[later])])
            ],
            later if _by_time(subject) else later[:0],
        )


def _by_time(subject: Subject) -> bool:
    """Whether the test should be the newest: cut so, or a set of its own whose rule is unknown."""
    held = subject.splits
    if held.test.features is not held.train.features:
        return getattr(subject.app, "split", "auto") in ("auto", "time")
    return isinstance(held.scheme, NewestPairs) and not held.scheme.of_each


def _finding(
    subject: Subject,
    check: str,
    severity: Any,
    which: np.ndarray,
    said: str,
    advice: str,
    out: np.ndarray | None = None,
) -> Finding:
    return Finding(
        check,
        severity,
        f"{counted(len(which), 'pair has', 'pairs have')} {said}",
        advice,
        len(which),
        len(which) / len(subject),
        subject.shown(which),
        which[:0] if out is None else out,
    )


def _said(value: float) -> str:
    """A time for people."""
    units = _unit(np.array([value]))
    if units[0] < 0:
        return f"{value:g}"
    seconds = value / UNITS[units[0]][1]
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
