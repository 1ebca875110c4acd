"""Read image folders, one folder per class; unreadable files are counted and skipped."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.files import expand_home
from pipelines.images import class_folders, folder_walk, skipped_files
from pipelines.images.class_folders import Classes
from pipelines.images.conversion import is_readable, readable_names
from pipelines.images.image_files import (
    SKIPPED,
    Listing,
    read,
    sample_shapes,
    undecodable_files,
)
from pipelines.images.photos import FitterFactory
from pipelines.images.skipped_files import SkippedFile
from pipelines.inspection import Inspection
from pipelines.splits import Source

# Files with these suffixes are decoded; other files only if their content is an image.
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".webp"}
SUFFIXES |= {".tif", ".tiff", ".avif", ".heic", ".heif"}


class Scan(NamedTuple):
    """The files of one split: paths with classes, skipped files, and empty class folders."""

    paths: list[Path]
    labels: list[str]
    skipped: list[SkippedFile]
    empty: list[Path]


def source(
    name: str,
    fitting: FitterFactory,
    memory_budget: int | None,
    inspection: Inspection | None = None,
) -> Source:
    """Read the pictures of class folders, or of train/, val/, test/ that hold class folders.

    Args:
        name: the directory. Split folders have common names; a missing split is cut from train
            later.
        fitting: how pictures are resized to one size.
        memory_budget: bytes; larger sets are stored on the disk (see `store`).
        inspection: collects what data checks need.

    Raises:
        DataError: if there is no such directory, no class folder in it, or a class of
            which no picture can be read.

    """
    layout = class_folders.find_layout(expand_home(name))
    root = layout.root
    scans = {split: _scan(classes) for split, classes in layout.parts.items()}
    if not (labels := _labels(scans)):
        raise _no_class_folders_error(name)
    listings = {split: _listing(root, scan, labels) for split, scan in scans.items()}
    unsupported = [file for listing in listings.values() for file in listing.skipped]
    paths = [path for listing in listings.values() for path in listing.paths]
    shapes = sample_shapes(paths, fitting)
    if not shapes:
        skipped_files.require_readable_classes(
            name, labels, unsupported + undecodable_files(listings, labels, {}), root
        )
    fit = fitting(shapes)
    examples_of_split = {
        split: read(listing, fit, memory_budget, inspection) for split, listing in listings.items()
    }
    undecodable = undecodable_files(listings, labels, examples_of_split)
    trained = {labels[number] for number in set(examples_of_split["train"].targets) - {SKIPPED}}
    skipped_files.require_readable_classes(
        name, _expected_classes(scans["train"]) - trained, undecodable + unsupported, root
    )
    loose = [_unsorted_file(path) for path in layout.loose]
    if inspection:
        listings["train"].skipped.extend(loose)
        inspection.folders.extend(listings.items())
    readable = {
        split: examples.select(np.flatnonzero(examples.targets != SKIPPED))
        for split, examples in examples_of_split.items()
    }
    totals = Counter(labels[k] for listing in listings.values() for k in listing.target)
    totals += Counter(file.label for file in unsupported)
    notes = (
        *layout.notes,
        *_empty(root, scans),
        *skipped_files.notes(root, undecodable + unsupported + loose, totals),
    )
    return Source(
        readable["train"], readable.get("valid"), readable.get("test"), labels=labels, notes=notes
    )


def _no_class_folders_error(name: str) -> DataError:
    return DataError(
        f"Received folder:{name}, which holds no folders of pictures; expected one a class, "
        f"or train/, val/ and test/ that hold them, with files of {readable_names()}."
    )


def _unsorted_file(path: Path) -> SkippedFile:
    return SkippedFile(path, "", skipped_files.skip_reason(path) or skipped_files.UNSORTED)


def _scan(classes: Classes) -> Scan:
    """List every file in the folders of each class, including subfolders."""
    scan = Scan([], [], [], [])
    for label, folders in classes.items():
        for folder in folders:
            before = len(scan.paths)
            for path, problem in folder_walk.walk_files(folder, folder):
                named = path.suffix.lower() in SUFFIXES
                if problem or not (named or is_readable(folder_walk.read_header(path))):
                    scan.skipped.append(
                        SkippedFile(path, label, problem or skipped_files.skip_reason(path))
                    )
                else:
                    scan.paths.append(path)
                    scan.labels.append(label)
            if len(scan.paths) == before:
                scan.empty.append(folder)
    return scan


def _labels(scans: dict[str, Scan]) -> tuple[str, ...]:
    """Return the classes of all splits, and those of training files of unsupported formats."""
    return tuple(
        sorted(_expected_classes(scans["train"]).union(*(scan.labels for scan in scans.values())))
    )


def _expected_classes(train: Scan) -> set[str]:
    return {file.label for file in train.skipped if file.is_other_format}.union(train.labels)


def _listing(root: Path, scan: Scan, labels: tuple[str, ...]) -> Listing:
    target = [labels.index(label) for label in scan.labels]
    return Listing(root, scan.paths, target, scan.skipped, scan.empty, [])


def _empty(root: Path, scans: dict[str, Scan]) -> Iterator[str]:
    """Yield a line about class folders without a readable picture."""
    folders = [folder for scan in scans.values() for folder in scan.empty]
    if folders:
        yield f"class folders without a picture: {class_folders.list_names(folders, root)}"
