"""Read image folders, one folder per class; unreadable files are counted and skipped."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.decoded import load_or_make
from pipelines.example_store import store
from pipelines.examples import Batch, DataError, Examples
from pipelines.files import expand_home, printable
from pipelines.images import class_folders, folder_walk, skipped_files
from pipelines.images.class_folders import Classes
from pipelines.images.decoding import decode, read_image_bytes
from pipelines.images.formats import SUPPORTED_NAMES, is_supported
from pipelines.images.photos import FitterFactory, ImageShape
from pipelines.images.skipped_files import SkippedFile
from pipelines.images.stderr_filter import suppress_decoder_messages
from pipelines.inspection import Inspection, origins_of
from pipelines.splits import Source

# Files with these suffixes are decoded; other files only if their content is an image.
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".webp"}
IMAGES_PER_BATCH = 64  # decoded before they are stored
IMAGES_PER_CALL = 8  # decoded by one call of TensorFlow
NUM_MEASURED_IMAGES = 25  # from which the size of a set's images is estimated
SKIPPED = -1  # instead of a class number


class Scan(NamedTuple):
    """The files of one split: paths with classes, skipped files, and empty class folders."""

    paths: list[Path]
    labels: list[str]
    skipped: list[SkippedFile]
    empty: list[Path]


class Listing(NamedTuple):
    """The files of one split: images with class numbers, skipped files, and empty folders.

    `shapes` are height, width and channels of each file, 0 if it cannot be read; they are
    known after decoding.
    """

    root: Path
    paths: list[Path]
    target: list[int]
    skipped: list[SkippedFile]
    empty: list[Path]
    shapes: list[tuple[int, int, int]]

    def where(self, row: int) -> str:
        """Return the path of a picture relative to the root, for the user."""
        return printable(self.paths[row].relative_to(self.root).as_posix())


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
    shapes = _sample_shapes(paths, upright=fitting.upright)
    if not shapes:
        skipped_files.require_readable_classes(
            name, labels, unsupported + _undecodable_files(listings, labels, {}), root
        )
    fit = fitting(shapes)
    examples_of_split = {
        split: _read(listing, fit, memory_budget, inspection) for split, listing in listings.items()
    }
    undecodable = _undecodable_files(listings, labels, examples_of_split)
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
        f"or train/, val/ and test/ that hold them, with files of {SUPPORTED_NAMES}."
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
                if problem or not (named or is_supported(folder_walk.read_header(path))):
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


def _undecodable_files(
    listings: dict[str, Listing], labels: tuple[str, ...], examples_of_split: dict[str, Examples]
) -> list[SkippedFile]:
    """Return the files that could not be decoded: all files of a split without examples."""
    return [
        SkippedFile(path, labels[number], skipped_files.decoding_failure(path))
        for split, listing in listings.items()
        for row, (path, number) in enumerate(zip(listing.paths, listing.target, strict=True))
        if split not in examples_of_split or examples_of_split[split].target[row] == SKIPPED
    ]


def _sample_shapes(paths: list[Path], *, upright: bool) -> list[ImageShape]:
    """Return the shapes of some readable pictures; [] only if there is none."""
    step = max(1, len(paths) // NUM_MEASURED_IMAGES)
    shapes = list(_shapes(paths[::step], upright=upright))
    return shapes or list(itertools.islice(_shapes(paths, upright=upright), 1))


def _shapes(paths: list[Path], *, upright: bool) -> Iterator[ImageShape]:
    for path in paths:
        try:
            with suppress_decoder_messages():
                picture = decode(read_image_bytes(path), upright=upright)
        except (OSError, ValueError, tf.errors.InvalidArgumentError):
            continue
        yield tuple(picture.shape)


def _read(
    listing: Listing,
    fit: Callable[[Any], Any],
    memory_budget: int | None,
    inspection: Inspection | None,
) -> Examples:
    """Read every picture; unreadable ones become zeros with the class SKIPPED."""
    count = len(listing.paths)
    examples_of_split = load_or_make(
        "" if inspection else _key(listing, fit),
        lambda: store(_batches(listing, fit), count, memory_budget, inspection),
        inspection,
    )
    names = np.array([listing.where(row) for row in range(count)], object)
    return dataclasses.replace(
        examples_of_split, origins=origins_of(inspection, listing, np.arange(count)), files=names
    )


def _key(listing: Listing, fit: Any) -> str:
    folder = functools.cache(Path.resolve)
    stats = [path.stat() for path in listing.paths]
    files = [
        (f"{folder(path.parent)}/{path.name}", stat.st_size, stat.st_mtime_ns)
        for path, stat in zip(listing.paths, stats, strict=True)
    ]
    return repr((fit, listing.target, files))


def _batches(listing: Listing, fit: Any) -> Iterator[Batch]:
    traced = _traced(fit)

    def read(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        return _decoded([_content(path) for path in listing.paths[rows]], traced, fit.shape)

    with ThreadPoolExecutor() as threads:
        for start in range(0, len(listing.paths), IMAGES_PER_BATCH):
            stop = min(start + IMAGES_PER_BATCH, len(listing.paths))
            calls = [
                slice(k, min(k + IMAGES_PER_CALL, stop))
                for k in range(start, stop, IMAGES_PER_CALL)
            ]
            with suppress_decoder_messages():
                parts = list(threads.map(read, calls))
            pixels, shapes = map(np.concatenate, zip(*parts, strict=True))
            target = np.where(shapes.any(1), listing.target[start:stop], SKIPPED)
            listing.shapes.extend(map(tuple, shapes.tolist()))
            yield Batch(pixels, target)


@functools.lru_cache(maxsize=4)  # half a second for each split otherwise
def _traced(fit: Any) -> Any:
    """Return the graph that decodes files and resizes their images."""
    files = [tf.TensorSpec([None], tf.string)]
    graph = tf.function(lambda files: _fitted(files, fit), input_signature=files, autograph=False)
    graph(tf.constant([], tf.string))  # otherwise every thread would trace and optimise it
    return graph


def _content(path: Path) -> bytes:
    """Read the bytes of an image file; b"" if it is known to be damaged."""
    try:
        return read_image_bytes(path)
    except (OSError, ValueError):
        return b""


def _decoded(files: list[bytes], traced: Any, shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """Decode pictures; return pixels and original shapes, zeros for unreadable ones."""
    try:
        pixels, shapes = traced(tf.constant(files))
        return pixels.numpy(), shapes.numpy()
    except (ValueError, tf.errors.InvalidArgumentError):
        if len(files) == 1:
            return np.zeros((1, *shape), "uint8"), np.zeros((1, 3), "int64")
    half = len(files) // 2  # one is damaged: find it by bisection
    parts = [_decoded(part, traced, shape) for part in (files[:half], files[half:])]
    pixels, shapes = map(np.concatenate, zip(*parts, strict=True))
    return pixels, shapes


def _fitted(files: Any, fit: Any) -> Any:
    """Decode and resize encoded pictures [n]; also return their original shapes."""

    def decode_and_fit(encoded: Any) -> tuple[Any, Any]:
        picture = decode(encoded, upright=fit.upright)
        return fit(picture), tf.cast(tf.shape(picture), tf.int64)

    spec = (tf.TensorSpec(fit.shape, tf.uint8), tf.TensorSpec([3], tf.int64))
    # A call costs as much as a small picture, so many share one. The callers run in threads.
    return tf.map_fn(decode_and_fit, files, fn_output_signature=spec, parallel_iterations=1)
