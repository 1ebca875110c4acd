"""Checks of images: unreadable, blank or unusual ones, near copies, leaked classes, odd labels."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Check, CheckedData
from data_checks.finding import (
    MAX_OCCURRENCES,
    NO_NUMBERS,
    Finding,
    Occurrence,
    Severity,
    UnreadExample,
    counted,
)
from data_checks.images import near_duplicates
from pipelines.images.skipped_files import SkippedFile

BLOCK = 1024  # images at once
MIN_RELATIVE_SIDE = 0.25  # of the median shorter side
MAX_RELATIVE_RATIO = 4.0  # of the sides, to the median ratio
MAX_RARE_MODE_SHARE = 0.05  # of the images
BRIGHTNESS_HALF_WIDTHS = 6  # distance from the median, in half interquartile ranges


def files(data: CheckedData) -> Iterator[Finding]:
    """Unreadable files, files of other formats or outside class folders, empty class folders."""
    folders = data.inspection.folders
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
        f"{counted(len(loose), 'file')} outside class folders, or no pictures; training skips them",
        "Move pictures into the folder of their class; remove the rest.",
        loose,
    )
    empty = [
        (split, listing, SkippedFile(path, "", ""))
        for split, listing in folders
        for path in listing.empty
    ]
    yield from _of_files(
        "empty class folders",
        "warning",
        f"{counted(len(empty), 'class folder holds', 'class folders hold')} no picture",
        "Fill or remove them: the model cannot learn such a class.",
        empty,
    )


def _unreadable(folders: list[tuple[str, Any]]) -> Iterator[Finding]:
    lost = [
        UnreadExample(split, listing.where(row))
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
            [Occurrence(one.split, one.where) for one in lost[:MAX_OCCURRENCES]],
            unread=lost,
        )


def _of_files(
    check: str,
    severity: Severity,
    said: str,
    advice: str,
    which: list[tuple[str, Any, SkippedFile]],
) -> Iterator[Finding]:
    if which:
        shown = [
            Occurrence(split, one.where(listing.root), one.reason)
            for split, listing, one in which[:MAX_OCCURRENCES]
        ]
        yield Finding(check, severity, said, advice, len(which), None, shown)


def blank(data: CheckedData) -> Iterator[Finding]:
    """Pictures of one colour; pictures much darker or brighter than all others."""
    mean, deviation = _levels(data)
    flat = np.flatnonzero(deviation < 1.0)
    if len(flat):
        yield Finding(
            "pictures of one colour",
            "warning",
            f"{counted(len(flat), 'picture is', 'pictures are')} of one colour and show nothing",
            "Check how they were made; exclude them.",
            len(flat),
            len(flat) / len(data),
            data.occurrences(flat),
            flat[data.used_in_training[flat]],
        )
    low, middle, high = np.quantile(mean, [0.25, 0.5, 0.75])
    half = max((high - low) / 2, 4.0)
    odd = np.flatnonzero(
        (np.abs(mean - middle) > BRIGHTNESS_HALF_WIDTHS * half) & (deviation >= 1.0)
    )
    if len(odd) and len(odd) < 0.01 * len(data):
        yield Finding(
            "unusual brightness",
            "warning",
            f"{counted(len(odd), 'picture is', 'pictures are')} much darker or brighter than all "
            f"others, whose mean level is {middle:.0f}",
            "Look at them: inverted, over-exposed, or of another kind.",
            len(odd),
            len(odd) / len(data),
            data.occurrences(odd),
        )


def _levels(data: CheckedData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each picture's pixels; in colour the largest of a channel."""
    mean = np.empty(len(data), "float32")
    deviation = np.empty(len(data), "float32")
    for start in range(0, len(data), BLOCK):
        numbers = np.arange(start, min(start + BLOCK, len(data)))
        pixels = data.features(numbers).astype("float32")
        mean[numbers] = pixels.mean((1, 2, 3))
        deviation[numbers] = pixels.std((1, 2)).max(1)
    return mean, deviation


def shapes(data: CheckedData) -> Iterator[Finding]:
    """Rare sizes, proportions and colour modes."""
    known = _shapes(data)
    if known is None:
        return
    shorter, longer = known[:, :2].min(1), known[:, :2].max(1)
    typical = np.median(shorter)
    ratio = longer / np.maximum(shorter, 1)
    yield from _odd(
        data,
        "tiny pictures",
        np.flatnonzero(shorter < MIN_RELATIVE_SIDE * typical),
        known,
        f"less than a quarter of the median size, {typical:.0f} pixels",
        "They are enlarged to the size of the others: exclude what cannot be recognised.",
    )
    yield from _odd(
        data,
        "unusual proportions",
        np.flatnonzero(ratio > MAX_RELATIVE_RATIO * np.median(ratio)),
        known,
        "much longer or wider than the median",
        "They are resized to the shape of the others: crop them to the object.",
    )
    for check, channels, said in (
        ("grey among colour", known[:, 2] <= 2, "grey among pictures in colour"),
        (
            "transparent pictures",
            np.isin(known[:, 2], (2, 4)),
            "transparent; their background becomes white",
        ),
    ):
        few = np.flatnonzero(channels)
        if len(few) < MAX_RARE_MODE_SHARE * len(known):
            yield from _odd(
                data, check, few, known, said, "Check whether they are drawings, masks or scans."
            )


def _odd(
    data: CheckedData, check: str, which: np.ndarray, known: np.ndarray, said: str, advice: str
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
                for one in data.occurrences(which)
            ],
        )


def _shapes(data: CheckedData) -> np.ndarray | None:
    """Height, width and channels of each picture file; None if unknown."""
    if not data.inspection.folders:
        return None
    found = []
    for part in data.parts:
        origins = part.examples.origins
        if origins is None:
            return None
        shapes = np.array(origins.source.shapes, "int64").reshape(-1, 3)
        found.append(shapes[origins.rows[part.examples.rows]])
    return np.concatenate(found)


def near(data: CheckedData) -> Iterator[Finding]:
    """Near copies: recompressed, brighter or darker, slightly cropped or shifted."""
    # One picture of each content; exact copies are another check's.
    _, first = np.unique(data.hashes, return_index=True)
    first.sort()
    found = near_duplicates.pairs(
        lambda numbers: data.features(first[numbers]),
        len(first),
        lambda done, of: data.inspection.progress("comparing pictures", done, of),
    )
    yield from duplicates.near(data, first[found], "equal up to quality, brightness or a shift")


def leakage(data: CheckedData) -> Iterator[Finding]:
    """Classes that the size, the format or the brightness of a file predicts."""
    mean, _ = _levels(data)
    columns: dict[str, np.ndarray] = {"mean brightness": mean}
    known = _shapes(data)
    if known is not None:
        names = ("height", "width", "channels")
        columns |= {name: known[:, k].astype("float32") for k, name in enumerate(names)}
        suffixes = [
            os.fsencode(data.where(number).rpartition(".")[2]) for number in range(len(data))
        ]
        columns["file ending"] = np.array(suffixes, object)
    for column, score in target_leakage.leaking_columns(columns, data.targets, classes=True):
        yield Finding(
            "class leakage",
            "warning" if column == "mean brightness" else "error",
            f"the {column} alone corrects {score:.1%} of the majority class's errors",
            "A network learns this instead of the object: make all classes equal in it.",
            1,
            score,
            [
                Occurrence("", label, _typical(columns[column], data.targets == k))
                for k, label in enumerate(data.splits.labels[:MAX_OCCURRENCES])
            ],
        )


def _typical(column: np.ndarray, which: np.ndarray) -> str:
    some = column[which]
    if not len(some):
        return ""
    if column.dtype == object:
        return Counter(some.tolist()).most_common(1)[0][0].decode()
    return f"median {np.median(some):g}"


def label_errors(data: CheckedData) -> Iterator[Finding]:
    """Probable label errors: all nearest neighbours belong to one other class."""
    count = len(data)
    if count < 100 or not data.splits.labels:
        return
    some = np.sort(np.random.default_rng(0).choice(count, min(count, 5000), replace=False))
    classes = data.targets[some]
    around = classes[near_duplicates.neighbours(near_duplicates.normalised(data.features(some)), 5)]
    right = (around == classes[:, None]).mean()
    if right < 0.9:
        return  # neighbours predict the class badly here
    odd = np.flatnonzero((around == around[:, :1]).all(1) & (around[:, 0] != classes))
    found = some[odd] if len(odd) else NO_NUMBERS
    if len(found):
        yield Finding(
            "probable label errors",
            "note",
            f"{counted(len(found), 'picture is', 'pictures are')} labelled differently from all "
            "five nearest neighbours",
            "Look at them: some are mislabelled, others only unusual.",
            len(found),
            len(found) / len(some),
            [
                one._replace(said=f"{one.said}; its neighbours: {data.target_text(around[k, 0])}")
                for one, k in zip(data.occurrences(found), odd, strict=False)
            ],
        )


CHECKS: tuple[Check, ...] = (files, blank, shapes, near, leakage, label_errors)
