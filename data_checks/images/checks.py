"""Checks of images: unreadable, blank or unusual ones, near copies, class leakage."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Check, CheckedData
from data_checks.finding import (
    MAX_OCCURRENCES,
    Finding,
    Occurrence,
    Severity,
    UnreadExample,
    counted,
)
from data_checks.images import near_duplicates
from data_checks.images.label_errors import label_errors
from pipelines.images.skipped_files import SkippedFile

IMAGES_PER_BLOCK = 1024  # in memory at once
MIN_RELATIVE_SIDE = 0.25  # shorter side of a picture, relative to the median
MAX_RELATIVE_RATIO = 4.0  # longer by shorter side, relative to the median
MAX_RARE_MODE_SHARE = 0.05  # of the images, for a rare colour mode
MAX_BRIGHTNESS_DEVIATION = 6  # from the median, in half interquartile ranges


def files(data: CheckedData) -> Iterator[Finding]:
    """Unreadable files, files of other formats or outside class folders, empty class folders."""
    folders = data.inspection.folders
    yield from _unreadable(folders)
    skipped = [(split, listing, file) for split, listing in folders for file in listing.skipped]
    unsupported = [entry for entry in skipped if entry[2].is_other_format]
    stray = [entry for entry in skipped if not entry[2].is_other_format]
    yield from _finding_of_files(
        "pictures of other formats",
        "warning",
        f"{counted(len(unsupported), 'file')} of unsupported formats; training skips them",
        "Convert them to PNG or JPEG.",
        unsupported,
    )
    yield from _finding_of_files(
        "files outside of classes",
        "warning" if any(file.is_picture for *_, file in stray) else "note",
        f"{counted(len(stray), 'file')} outside class folders or not an image; training skips them",
        "Move pictures into the folder of their class; remove the rest.",
        stray,
    )
    empty = []
    for split, listing in folders:
        empty += [(split, listing, SkippedFile(path, "", "")) for path in listing.empty]
    yield from _finding_of_files(
        "empty class folders",
        "warning",
        f"{counted(len(empty), 'class folder holds', 'class folders hold')} no picture",
        "Fill or remove them: the model cannot learn such a class.",
        empty,
    )


def _unreadable(folders: list[tuple[str, Any]]) -> Iterator[Finding]:
    unread = [
        UnreadExample(split, listing.where(row))
        for split, listing in folders
        for row, shape in enumerate(listing.shapes)
        if not any(shape)
    ]
    if unread:
        yield Finding(
            "unreadable files",
            "warning",
            f"{counted(len(unread), 'picture')} cannot be read: damaged, empty, too large or not "
            "an image; training skips them",
            "Copy them again, or remove them.",
            len(unread),
            len(unread) / sum(len(listing.paths) for _, listing in folders),
            [Occurrence(file.split, file.where) for file in unread[:MAX_OCCURRENCES]],
            unread=unread,
        )


def _finding_of_files(
    check: str,
    severity: Severity,
    message: str,
    advice: str,
    files: list[tuple[str, Any, SkippedFile]],
) -> Iterator[Finding]:
    if files:
        shown = [
            Occurrence(split, file.where(listing.root), file.reason)
            for split, listing, file in files[:MAX_OCCURRENCES]
        ]
        yield Finding(check, severity, message, advice, len(files), None, shown)


def blank(data: CheckedData) -> Iterator[Finding]:
    """Pictures of one colour; pictures much darker or brighter than all others."""
    mean, deviation = _brightness_and_contrast(data)
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
    low, median, high = np.quantile(mean, [0.25, 0.5, 0.75])
    half_range = max((high - low) / 2, 4.0)
    unusual = np.flatnonzero(
        (np.abs(mean - median) > MAX_BRIGHTNESS_DEVIATION * half_range) & (deviation >= 1.0)
    )
    if len(unusual) and len(unusual) < 0.01 * len(data):
        yield Finding(
            "unusual brightness",
            "warning",
            f"{counted(len(unusual), 'picture is', 'pictures are')} much darker or brighter than "
            f"all others, whose median brightness is {median:.0f}",
            "Look at them: they may be inverted, over-exposed or of another kind.",
            len(unusual),
            len(unusual) / len(data),
            data.occurrences(unusual),
        )


def _brightness_and_contrast(data: CheckedData) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each image, and the largest standard deviation of its channels."""
    mean = np.empty(len(data), "float32")
    deviation = np.empty(len(data), "float32")
    for start in range(0, len(data), IMAGES_PER_BLOCK):
        numbers = np.arange(start, min(start + IMAGES_PER_BLOCK, len(data)))
        pixels = data.features(numbers).astype("float32")
        mean[numbers] = pixels.mean((1, 2, 3))
        deviation[numbers] = pixels.std((1, 2)).max(1)
    return mean, deviation


def shapes(data: CheckedData) -> Iterator[Finding]:
    """Rare sizes, proportions and colour modes."""
    sizes = _file_shapes(data)
    if sizes is None:
        return
    shorter, longer = sizes[:, :2].min(1), sizes[:, :2].max(1)
    median = np.median(shorter)
    ratio = longer / np.maximum(shorter, 1)
    yield from _unusual_files(
        data,
        "tiny pictures",
        np.flatnonzero(shorter < MIN_RELATIVE_SIDE * median),
        sizes,
        f"less than a quarter of the median size, {median:.0f} pixels",
        "They are enlarged to the size of the others: exclude those that cannot be recognised.",
    )
    yield from _unusual_files(
        data,
        "unusual proportions",
        np.flatnonzero(ratio > MAX_RELATIVE_RATIO * np.median(ratio)),
        sizes,
        "much taller or wider than the median",
        "They are resized to the shape of the others: crop them to the object.",
    )
    advice = "Check whether they are drawings, masks or scans."
    for check, has_mode, problem in (
        ("grey among colour", sizes[:, 2] <= 2, "grey among pictures in colour"),
        (
            "transparent pictures",
            np.isin(sizes[:, 2], (2, 4)),
            "transparent; their background becomes white",
        ),
    ):
        rare = np.flatnonzero(has_mode)
        if len(rare) < MAX_RARE_MODE_SHARE * len(sizes):
            yield from _unusual_files(data, check, rare, sizes, problem, advice)


def _unusual_files(
    data: CheckedData, check: str, numbers: np.ndarray, sizes: np.ndarray, problem: str, advice: str
) -> Iterator[Finding]:
    if len(numbers):
        yield Finding(
            check,
            "warning" if check.startswith(("tiny", "unusual")) else "note",
            f"{counted(len(numbers), 'picture is', 'pictures are')} {problem}",
            advice,
            len(numbers),
            len(numbers) / len(sizes),
            [
                case._replace(
                    detail=" x ".join(map(str, sizes[case.number])) + f" -> {case.detail}"
                )
                for case in data.occurrences(numbers)
            ],
        )


def _file_shapes(data: CheckedData) -> np.ndarray | None:
    """Return height, width and channels of each image file; None if they are not in folders."""
    if not data.inspection.folders:
        return None
    parts = []
    for part in data.parts:
        origins = part.examples.origins
        if origins is None:
            return None
        sizes = np.array(origins.source.shapes, "int64").reshape(-1, 3)
        parts.append(sizes[origins.rows[part.examples.rows]])
    return np.concatenate(parts)


def near(data: CheckedData) -> Iterator[Finding]:
    """Near copies: recompressed, brighter or darker, slightly cropped or shifted."""
    # `duplicates.exact` reports exact copies, so compare one picture of each content.
    _, first = np.unique(data.hashes, return_index=True)
    first.sort()
    pairs = near_duplicates.pairs(
        lambda numbers: data.features(first[numbers]),
        len(first),
        lambda done, total: data.inspection.progress("comparing pictures", done, total),
    )
    difference = "equal up to quality, brightness or a shift"
    yield from duplicates.near_copies(data, first[pairs], difference)


def leakage(data: CheckedData) -> Iterator[Finding]:
    """Properties of a file that predict its class: size, channels, ending, brightness."""
    mean, _ = _brightness_and_contrast(data)
    columns: dict[str, np.ndarray] = {"mean brightness": mean}
    sizes = _file_shapes(data)
    if sizes is not None:
        names = ("height", "width", "channels")
        columns |= {name: sizes[:, k].astype("float32") for k, name in enumerate(names)}
        suffixes = [
            os.fsencode(data.where(number).rpartition(".")[2]) for number in range(len(data))
        ]
        columns["file ending"] = np.array(suffixes, object)
    for column, score in target_leakage.leaking_columns(columns, data.targets, classes=True):
        yield Finding(
            "class leakage",
            "warning" if column == "mean brightness" else "error",
            f"the {column} alone corrects {score:.1%} of the majority class's errors",
            "A network learns this instead of the object: make it alike in all classes.",
            1,
            score,
            [
                Occurrence("", label, _typical_value(columns[column], data.targets == k))
                for k, label in enumerate(data.splits.labels[:MAX_OCCURRENCES])
            ],
        )


def _typical_value(column: np.ndarray, in_class: np.ndarray) -> str:
    values = column[in_class]
    if not len(values):
        return ""
    if column.dtype == object:
        return Counter(values.tolist()).most_common(1)[0][0].decode()
    return f"median {np.median(values):g}"


CHECKS: tuple[Check, ...] = (files, blank, shapes, near, leakage, label_errors)
