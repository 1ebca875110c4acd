"""Pictures: unreadable, blank, odd ones, near copies, and what gives a class away."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, NOBODY, Finding, Lost, Severity, Shown, counted
from data_checks.images import near_duplicates as likeness
from pipelines.images.skipped import Skipped

BLOCK = 1024
TOO_SMALL = 0.25  # of the usual side
LONG = 4.0  # times the usual ratio of the sides
RARE_MODE = 0.05
BRIGHT = 6  # half-widths of the middle half


def files(subject: Subject) -> Iterator[Finding]:
    """Files that cannot be read, that are none of ours, folders without any."""
    folders = subject.look.folders
    yield from _unreadable(folders)
    foreign = [(split, listing, one) for split, listing in folders for one in listing.skipped]
    other = [one for one in foreign if one[2].is_other_format]
    loose = [one for one in foreign if not one[2].is_other_format]
    yield from _of_files(
        "pictures of other formats",
        "warning",
        f"{counted(len(other), 'file')} of formats that athanor does not read; training skips them",
        "Convert them to PNG or JPEG.",
        other,
    )
    yield from _of_files(
        "files outside of classes",
        "warning" if any(one.is_picture for *_, one in loose) else "note",
        f"{counted(len(loose), 'file')} in no class folder, or no pictures; training skips them",
        "Move pictures into the folder of their class; remove the rest.",
        loose,
    )
    empty = [
        (split, listing, Skipped(path, "", ""))
        for split, listing in folders
        for path in listing.empty
    ]
    yield from _of_files(
        "empty class folders",
        "warning",
        f"{counted(len(empty), 'class folder holds', 'class folders hold')} no picture",
        "Fill them or remove them: such a class is not learnt.",
        empty,
    )


def _unreadable(folders: list[tuple[str, Any]]) -> Iterator[Finding]:
    lost = [
        Lost(split, listing.where(row))
        for split, listing in folders
        for row, shape in enumerate(listing.shapes)
        if not any(shape)
    ]
    if lost:
        yield Finding(
            "unreadable files",
            "warning",
            f"{counted(len(lost), 'picture')} cannot be read: damaged, empty, too large or no "
            "picture; training skips them",
            "Copy them again, or remove them.",
            len(lost),
            len(lost) / sum(len(listing.paths) for _, listing in folders),
            [Shown(one.split, one.where) for one in lost[:MOST_SHOWN]],
            lost=lost,
        )


def _of_files(
    check: str, severity: Severity, said: str, advice: str, which: list[tuple[str, Any, Skipped]]
) -> Iterator[Finding]:
    if which:
        shown = [
            Shown(split, one.where(listing.root), one.reason)
            for split, listing, one in which[:MOST_SHOWN]
        ]
        yield Finding(check, severity, said, advice, len(which), None, shown)


def blank(subject: Subject) -> Iterator[Finding]:
    """Pictures of one colour, and ones much darker or brighter than all others."""
    mean, deviation = _levels(subject)
    flat = np.flatnonzero(deviation < 1.0)
    if len(flat):
        yield Finding(
            "pictures of one colour",
            "warning",
            f"{counted(len(flat), 'picture is', 'pictures are')} of one colour and show nothing",
            "Look at how they were made; leave them out.",
            len(flat),
            len(flat) / len(subject),
            subject.shown(flat),
            flat[subject.trains[flat]],
        )
    low, middle, high = np.quantile(mean, [0.25, 0.5, 0.75])
    half = max((high - low) / 2, 4.0)
    odd = np.flatnonzero((np.abs(mean - middle) > BRIGHT * half) & (deviation >= 1.0))
    if len(odd) and len(odd) < 0.01 * len(subject):
        yield Finding(
            "unusual brightness",
            "warning",
            f"{counted(len(odd), 'picture is', 'pictures are')} much darker or brighter than all "
            f"others, whose mean level is {middle:.0f}",
            "Look at them: inverted, over-exposed, or of another kind.",
            len(odd),
            len(odd) / len(subject),
            subject.shown(odd),
        )


def _levels(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each picture's pixels; of colour the greatest of its channels'."""
    mean = np.empty(len(subject), "float32")
    deviation = np.empty(len(subject), "float32")
    for start in range(0, len(subject), BLOCK):
        numbers = np.arange(start, min(start + BLOCK, len(subject)))
        pixels = subject.features(numbers).astype("float32")
        mean[numbers] = pixels.mean((1, 2, 3))
        deviation[numbers] = pixels.std((1, 2)).max(1)
    return mean, deviation


def shapes(subject: Subject) -> Iterator[Finding]:
    """Sizes, proportions and colours that few pictures of the set have."""
    known = _shapes(subject)
    if known is None:
        return
    shorter, longer = known[:, :2].min(1), known[:, :2].max(1)
    usual = np.median(shorter)
    ratio = longer / np.maximum(shorter, 1)
    yield from _odd(
        subject,
        "tiny pictures",
        np.flatnonzero(shorter < TOO_SMALL * usual),
        known,
        f"less than a quarter as large as usual, {usual:.0f} pixels",
        "They are blown up to the size of the others: leave out what cannot be recognised.",
    )
    yield from _odd(
        subject,
        "unusual proportions",
        np.flatnonzero(ratio > LONG * np.median(ratio)),
        known,
        "much longer or wider than usual",
        "They are stretched to the shape of the others: cut out what matters.",
    )
    for check, channels, said in (
        ("grey among colour", known[:, 2] <= 2, "grey among pictures in colour"),
        (
            "transparent pictures",
            np.isin(known[:, 2], (2, 4)),
            "transparent; they are laid on white",
        ),
    ):
        few = np.flatnonzero(channels)
        if len(few) < RARE_MODE * len(known):
            yield from _odd(
                subject, check, few, known, said, "Check that they are no drawings, masks or scans."
            )


def _odd(
    subject: Subject, check: str, which: np.ndarray, known: np.ndarray, said: str, advice: str
) -> Iterator[Finding]:
    if len(which):
        yield Finding(
            check,
            "warning" if check.startswith(("tiny", "unusual")) else "note",
            f"{counted(len(which), 'picture is', 'pictures are')} {said}",
            advice,
            len(which),
            len(which) / len(known),
            [
                one._replace(said=" x ".join(map(str, known[one.number])) + f" -> {one.said}")
                for one in subject.shown(which)
            ],
        )


def _shapes(subject: Subject) -> np.ndarray | None:
    """Height, width and channels of each picture as stored; None where nobody knows."""
    if not subject.look.folders:
        return None
    found = []
    for part in subject.parts:
        origins = part.examples.origins
        if origins is None:
            return None
        shapes = np.array(origins.read.shapes, "int64").reshape(-1, 3)
        found.append(shapes[origins.rows[part.examples.rows]])
    return np.concatenate(found)


def near(subject: Subject) -> Iterator[Finding]:
    """Near copies: stored again, brighter or darker, a little cut or shifted."""
    # One of each content is enough; doubles are another check's.
    _, first = np.unique(subject.hashes, return_index=True)
    first.sort()
    found = likeness.pairs(
        lambda numbers: subject.features(first[numbers]),
        len(first),
        lambda done, of: subject.look.progress("comparing pictures", done, of),
    )
    yield from duplicates.near(
        subject, first[found], "alike but for quality, brightness or a shift"
    )


def giveaways(subject: Subject) -> Iterator[Finding]:
    """Classes that the size, the format or the brightness of a file gives away."""
    mean, _ = _levels(subject)
    columns: dict[str, np.ndarray] = {"mean brightness": mean}
    known = _shapes(subject)
    if known is not None:
        names = ("height", "width", "channels")
        columns |= {name: known[:, k].astype("float32") for k, name in enumerate(names)}
        suffixes = [
            os.fsencode(subject.where(number).rpartition(".")[2]) for number in range(len(subject))
        ]
        columns["file ending"] = np.array(suffixes, object)
    for column, score in target_leakage.told(columns, subject.targets, classes=True):
        yield Finding(
            "class given away",
            "warning" if column == "mean brightness" else "grave",
            f"the {column} alone tells the class of {score:.1%} of what a guess leaves open",
            "A network learns this instead of what is shown: make all classes alike in it.",
            1,
            score,
            [
                Shown("", label, _usual(columns[column], subject.targets == k))
                for k, label in enumerate(subject.splits.labels[:MOST_SHOWN])
            ],
        )


def _usual(column: np.ndarray, which: np.ndarray) -> str:
    some = column[which]
    if not len(some):
        return ""
    if column.dtype == object:
        return Counter(some.tolist()).most_common(1)[0][0].decode()
    return f"usually {np.median(some):g}"


def lonely(subject: Subject) -> Iterator[Finding]:
    """Pictures whose nearest neighbours are all of one other class: labels to look at."""
    count = len(subject)
    if count < 100 or not subject.splits.labels:
        return
    some = np.sort(np.random.default_rng(0).choice(count, min(count, 5000), replace=False))
    classes = subject.targets[some]
    around = classes[likeness.neighbours(likeness.described(subject.features(some)), 5)]
    right = (around == classes[:, None]).mean()
    if right < 0.9:
        return  # neighbours say little of the class here
    odd = np.flatnonzero((around == around[:, :1]).all(1) & (around[:, 0] != classes))
    found = some[odd] if len(odd) else NOBODY
    if len(found):
        yield Finding(
            "labels to look at",
            "note",
            f"{counted(len(found), 'picture is', 'pictures are')} of another class than all five "
            "that are most like it",
            "Look at them: some are labelled wrongly, others only unusual.",
            len(found),
            len(found) / len(some),
            [
                one._replace(said=f"{one.said}; its neighbours: {subject.answer(around[k, 0])}")
                for one, k in zip(subject.shown(found), odd, strict=False)
            ],
        )
