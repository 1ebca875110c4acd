"""The same example twice, or nearly: within a split, across splits, with other answers."""

from collections.abc import Iterator

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, NOBODY, Finding, Severity, Shown, counted, graded

LEAKING = 0.05  # of the test examples have a near copy in training: the score is no score
CONTRADICTING = 0.05  # of all examples
MANY_COPIES = 0.05
USUAL_REPEATS = 0.5  # of all rows have the inputs of another one: the columns take few values
SPREAD = 0.1  # deviations of the target by which two answers differ

Pairs = np.ndarray  # int64 [pairs, 2], numbers in the pool


def exact(subject: Subject) -> Iterator[Finding]:
    """The same content twice: across splits, within one."""
    groups = grouped(subject.hashes)
    yield from _across(subject, groups)
    yield from _within(subject, groups)


def contradictions(subject: Subject) -> Iterator[Finding]:
    """The same content with different answers."""
    if subject.app.modality == "ids":
        return
    wrong = [members for members in grouped(subject.hashes) if differs(subject, members)]
    if not wrong:
        return
    numbers = np.concatenate(wrong)
    share = len(numbers) / len(subject)
    said = (
        f"{counted(len(numbers), 'example')} in {counted(len(wrong), 'group')} have the same "
        "input and different answers"
    )
    if _repeats_by_nature(subject):
        severity: Severity = "note"
        advice = "Rows have few distinct inputs, so this is what no model can tell apart."
        listed = NOBODY
    else:
        severity = graded(share, grave=CONTRADICTING)
        advice = "Decide which answer is right, or leave them out: nothing can learn them."
        listed = numbers
    yield Finding(
        "contradicting copies",
        severity,
        said,
        advice,
        len(numbers),
        share,
        _first_of(subject, wrong),
        listed,
    )


def _repeats_by_nature(subject: Subject) -> bool:
    """Whether most rows have the inputs of another row: such repeats are no copies."""
    if not subject.of_rows:
        return False
    _, counts = np.unique(subject.hashes, return_counts=True)
    return bool(counts[counts > 1].sum() > USUAL_REPEATS * len(subject))


def near(subject: Subject, pairs: Pairs, what: str) -> Iterator[Finding]:
    """Findings of pairs that are nearly, but not exactly, the same; `what` says how alike."""
    if not len(pairs):
        return
    split = subject.split[pairs]
    crosses = split[:, 0] != split[:, 1]
    yield from _near_across(subject, pairs[crosses], what)
    yield from _near_contradicting(subject, pairs, what)
    inside = np.unique(pairs[~crosses])
    if len(inside):
        share = len(inside) / len(subject)
        yield Finding(
            "near copies within a split",
            graded(share, warning=MANY_COPIES),
            f"{counted(len(inside), 'example')} of a split have a near copy there ({what})",
            "Harmless in small numbers; many make training and score depend on few originals.",
            len(inside),
            share,
            _of_pairs(subject, pairs[~crosses]),
        )


def grouped(keys: np.ndarray) -> list[np.ndarray]:
    """The places of each key that is there more than once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    return [
        order[start : start + size]
        for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True)
    ]


def differs(subject: Subject, members: np.ndarray) -> bool:
    """Whether examples have different answers."""
    targets = subject.targets[members]
    if subject.splits.labels:
        return bool((targets != targets[0]).any())
    deviation = float(subject.targets[subject.numbers("train")].std())
    return bool(np.ptp(targets) > SPREAD * deviation)


def _across(subject: Subject, groups: list[np.ndarray]) -> Iterator[Finding]:
    crossing = [one for one in groups if len(set(subject.home[one].tolist())) > 1]
    if not crossing:
        return
    numbers = np.concatenate(crossing)
    outside = numbers[subject.split[numbers] != 2]
    dropped = subject.dropped[outside].sum()
    said = (
        f"{counted(len(outside), 'example')} of train or validation are in test or validation too"
    )
    if dropped < len(outside):  # rows that are equal by chance
        said += f"; training leaves out {dropped:,} of them by itself"
        advice = "If equal rows are the same thing observed twice, keep one of each."
    else:
        said += "; training leaves them out by itself"
        advice = "Nothing has to be done for athanor; elsewhere they would raise the score."
    yield Finding(
        "copies across splits",
        "note" if _repeats_by_nature(subject) else "warning",
        said,
        advice,
        len(outside),
        len(outside) / len(subject),
        _first_of(subject, crossing),
    )


def _within(subject: Subject, groups: list[np.ndarray]) -> Iterator[Finding]:
    again = [
        same
        for one in groups
        for which in set(subject.home[one].tolist())
        if len(same := one[subject.home[one] == which]) > 1
    ]
    if not again:
        return
    count = sum(len(one) - 1 for one in again)
    share = count / len(subject)
    yield Finding(
        "copies within a split",
        "note" if _repeats_by_nature(subject) else graded(share, warning=MANY_COPIES),
        f"{counted(count, 'example repeats', 'examples repeat')} another of the same split",
        "A cut draws equal rows one by one, and keeps copies of all else on one side; if they are "
        "no accident, nothing has to be done.",
        count,
        share,
        _first_of(subject, again),
    )


def _near_across(subject: Subject, pairs: Pairs, what: str) -> Iterator[Finding]:
    if not len(pairs):
        return
    concerned = np.unique(pairs)
    held = concerned[subject.split[concerned] == 2]
    learnt = concerned[subject.trains[concerned]]
    # A copy in validation of one in train leaves training; one of test leaves both.
    later = subject.split[pairs].max(1, keepdims=True)
    out = np.unique(pairs[(subject.split[pairs] < later) & subject.trains[pairs]])
    share = len(held) / max(1, len(subject.splits.test))
    yield Finding(
        "near copies across splits",
        graded(share, grave=LEAKING),
        f"{counted(len(held), 'test example has', 'test examples have')} a near copy in train or "
        f"validation, {len(learnt):,} in all there ({what})",
        "Leave the copies out of training by the list of --write-quarantine, or cut by their "
        "origin: the score counts what was seen.",
        len(held) or len(learnt),
        share,
        _of_pairs(subject, pairs),
        out,
    )


def _near_contradicting(subject: Subject, pairs: Pairs, what: str) -> Iterator[Finding]:
    if not subject.splits.labels:
        return
    pairs = pairs[subject.targets[pairs[:, 0]] != subject.targets[pairs[:, 1]]]
    numbers = np.unique(pairs)
    if not len(numbers):
        return
    share = len(numbers) / len(subject)
    yield Finding(
        "contradicting near copies",
        graded(share, grave=CONTRADICTING),
        f"{counted(len(numbers), 'example')} have a near copy of another class ({what})",
        "One of the two is probably labelled wrongly: look at them.",
        len(numbers),
        share,
        _of_pairs(subject, pairs),
        numbers[subject.trains[numbers]],
    )


def _first_of(subject: Subject, groups: list[np.ndarray]) -> list[Shown]:
    """Two of each group, where possible of different splits."""
    pairs = []
    for members in groups[: MOST_SHOWN // 2]:
        order = np.argsort(subject.split[members], kind="stable")
        pairs += [members[order[0]], members[order[-1]]]
    return subject.shown(np.array(pairs))


def _of_pairs(subject: Subject, pairs: Pairs) -> list[Shown]:
    return subject.shown(pairs[: MOST_SHOWN // 2].ravel())
