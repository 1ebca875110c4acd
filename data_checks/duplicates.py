"""Exact and near duplicates: within a split, across splits, with different targets."""

from collections.abc import Iterator

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import (
    MAX_OCCURRENCES,
    NO_NUMBERS,
    Finding,
    Occurrence,
    Severity,
    counted,
    severity_of,
)

MAX_LEAKED_SHARE = 0.05  # of the test examples, with a near copy in training
MAX_CONTRADICTING_SHARE = 0.05  # of all examples
MAX_COPY_SHARE = 0.05  # of all examples
MIN_REPEATED_SHARE = 0.5  # of all rows; beyond it repeated inputs are normal for the table
MIN_TARGET_DIFFERENCE = 0.1  # standard deviations of the target

Pairs = np.ndarray  # int64 [pairs, 2], example numbers


def exact(data: CheckedData) -> Iterator[Finding]:
    """Exact copies: across splits and within a split."""
    groups = group_equal(data.hashes)
    yield from _across(data, groups)
    yield from _within(data, groups)


def contradictions(data: CheckedData) -> Iterator[Finding]:
    """Copies with different targets."""
    if data.app.modality == "ids":
        return
    wrong = [members for members in group_equal(data.hashes) if differs(data, members)]
    if not wrong:
        return
    numbers = np.concatenate(wrong)
    share = len(numbers) / len(data)
    message = (
        f"{counted(len(numbers), 'example')} in {counted(len(wrong), 'group')} have the same "
        "input and different targets"
    )
    if _repeats_by_nature(data):
        severity: Severity = "note"
        advice = "The columns take few values, so no model can tell these rows apart."
        listed = NO_NUMBERS
    else:
        severity = severity_of(share, error=MAX_CONTRADICTING_SHARE)
        advice = "Decide which target is right, or exclude the examples."
        listed = numbers
    yield Finding(
        "contradicting copies",
        severity,
        message,
        advice,
        len(numbers),
        share,
        _first_of(data, wrong),
        listed,
    )


def _repeats_by_nature(data: CheckedData) -> bool:
    """Whether most rows share their inputs with another row, so that repeats are normal."""
    if not data.has_rows:
        return False
    _, counts = np.unique(data.hashes, return_counts=True)
    return bool(counts[counts > 1].sum() > MIN_REPEATED_SHARE * len(data))


def near_copies(data: CheckedData, pairs: Pairs, likeness: str) -> Iterator[Finding]:
    """Yield findings about pairs of near copies; `likeness` says how they are alike."""
    if not len(pairs):
        return
    split = data.split[pairs]
    crosses = split[:, 0] != split[:, 1]
    yield from _near_across(data, pairs[crosses], likeness)
    yield from _near_contradicting(data, pairs, likeness)
    inside = np.unique(pairs[~crosses])
    if len(inside):
        share = len(inside) / len(data)
        yield Finding(
            "near copies within a split",
            severity_of(share, warning=MAX_COPY_SHARE),
            f"{counted(len(inside), 'example')} of a split have a near copy there ({likeness})",
            "A few do no harm; with many, training and score depend on few originals.",
            len(inside),
            share,
            _of_pairs(data, pairs[~crosses]),
        )


def group_equal(keys: np.ndarray) -> list[np.ndarray]:
    """Return the positions of each key that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    return [
        order[start : start + size]
        for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True)
    ]


def differs(data: CheckedData, members: np.ndarray) -> bool:
    """Whether the targets of these examples differ."""
    if data.splits.labels:
        return len(set(data.target_numbers[members].tolist())) > 1
    targets = data.targets[members]
    deviation = float(data.targets[data.numbers_of("train")].std())
    return bool(np.ptp(targets) > MIN_TARGET_DIFFERENCE * deviation)


def _across(data: CheckedData, groups: list[np.ndarray]) -> Iterator[Finding]:
    crossing = [members for members in groups if len(set(data.copy_split[members].tolist())) > 1]
    if not crossing:
        return
    numbers = np.concatenate(crossing)
    outside = numbers[data.split[numbers] != 2]
    dropped = data.dropped[outside].sum()
    message = (
        f"{counted(len(outside), 'example')} of train or validation are in test or validation too"
    )
    if dropped < len(outside):  # rows that are equal by chance
        message += f"; training removes {dropped:,} of them"
        advice = "If equal rows are one thing observed twice, keep one of each."
    else:
        message += "; training removes them"
        advice = "Nothing has to be done in Athanor; other tools would report too high a score."
    yield Finding(
        "copies across splits",
        "note" if _repeats_by_nature(data) else "warning",
        message,
        advice,
        len(outside),
        len(outside) / len(data),
        _first_of(data, crossing),
    )


def _within(data: CheckedData, groups: list[np.ndarray]) -> Iterator[Finding]:
    repeated = [
        same
        for members in groups
        for split in set(data.copy_split[members].tolist())
        if len(same := members[data.copy_split[members] == split]) > 1
    ]
    if not repeated:
        return
    count = sum(len(members) - 1 for members in repeated)
    share = count / len(data)
    yield Finding(
        "copies within a split",
        "note" if _repeats_by_nature(data) else severity_of(share, warning=MAX_COPY_SHARE),
        f"{counted(count, 'example repeats', 'examples repeat')} another of the same split",
        "Splits draw equal rows one by one and keep copies of texts and images together. If the "
        "copies are intended, nothing has to be done.",
        count,
        share,
        _first_of(data, repeated),
    )


def _near_across(data: CheckedData, pairs: Pairs, likeness: str) -> Iterator[Finding]:
    if not len(pairs):
        return
    similar = np.unique(pairs)
    tested = similar[data.split[similar] == 2]
    trained = similar[data.used_in_training[similar]]
    # Drops the training copy of a validation example, and both copies of a test example.
    later = data.split[pairs].max(1, keepdims=True)
    to_quarantine = np.unique(pairs[(data.split[pairs] < later) & data.used_in_training[pairs]])
    share = len(tested) / max(1, len(data.splits.test))
    yield Finding(
        "near copies across splits",
        severity_of(share, error=MAX_LEAKED_SHARE),
        f"{counted(len(tested), 'test example has', 'test examples have')} a near copy in train or "
        f"validation, {len(trained):,} there in all ({likeness})",
        "Exclude the copies with --write-quarantine and train --quarantine, or split by their "
        "origin: the score partly measures memory.",
        len(tested) or len(trained),
        share,
        _of_pairs(data, pairs),
        to_quarantine,
    )


def _near_contradicting(data: CheckedData, pairs: Pairs, likeness: str) -> Iterator[Finding]:
    if not data.splits.labels:
        return
    pairs = pairs[data.target_numbers[pairs[:, 0]] != data.target_numbers[pairs[:, 1]]]
    numbers = np.unique(pairs)
    if not len(numbers):
        return
    share = len(numbers) / len(data)
    yield Finding(
        "contradicting near copies",
        severity_of(share, error=MAX_CONTRADICTING_SHARE),
        f"{counted(len(numbers), 'example')} have a near copy of another class ({likeness})",
        "One of the two is probably mislabelled: look at them.",
        len(numbers),
        share,
        _of_pairs(data, pairs),
        numbers[data.used_in_training[numbers]],
    )


def _first_of(data: CheckedData, groups: list[np.ndarray]) -> list[Occurrence]:
    """Return two members of each group, from different splits if possible."""
    pairs = []
    for members in groups[: MAX_OCCURRENCES // 2]:
        order = np.argsort(data.split[members], kind="stable")
        pairs += [members[order[0]], members[order[-1]]]
    return data.occurrences(np.array(pairs))


def _of_pairs(data: CheckedData, pairs: Pairs) -> list[Occurrence]:
    return data.occurrences(pairs[: MAX_OCCURRENCES // 2].ravel())
