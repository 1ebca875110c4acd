"""Decode the image files of a data set, resize them to one size and store them."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.decoded import load_or_make
from pipelines.example_store import store
from pipelines.examples import Batch, Examples
from pipelines.files import printable
from pipelines.images.decoding import decode
from pipelines.images.file_bytes import read_image_bytes
from pipelines.images.photos import FitterFactory, ImageShape
from pipelines.images.skipped_files import SkippedFile, decoding_failure
from pipelines.images.stderr_filter import suppress_decoder_messages
from pipelines.inspection import Inspection, origins_of

IMAGES_PER_BATCH = 64  # decoded before they are stored
IMAGES_PER_CALL = 8  # decoded by one call of TensorFlow
NUM_MEASURED_IMAGES = 25  # from which the size of a set's images is estimated
SKIPPED = -1  # instead of a class number


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
        return printable(Path(os.path.relpath(self.paths[row], self.root)).as_posix())


def undecodable_files(
    listings: Mapping[str, Listing],
    labels: Sequence[str],
    examples_of_split: Mapping[str, Examples],
) -> list[SkippedFile]:
    """Return the files that could not be decoded: all files of a split without examples."""
    return [
        SkippedFile(path, labels[number], decoding_failure(path))
        for split, listing in listings.items()
        for row, (path, number) in enumerate(zip(listing.paths, listing.target, strict=True))
        if split not in examples_of_split or examples_of_split[split].target[row] == SKIPPED
    ]


def sample_shapes(paths: list[Path], fitting: FitterFactory) -> list[ImageShape]:
    """Return the shapes of some readable pictures; [] only if there is none."""
    step = max(1, len(paths) // NUM_MEASURED_IMAGES)
    shapes = list(_shapes(paths[::step], upright=fitting.upright))
    return shapes or list(itertools.islice(_shapes(paths, upright=fitting.upright), 1))


def _shapes(paths: list[Path], *, upright: bool) -> Iterator[ImageShape]:
    for path in paths:
        try:
            with suppress_decoder_messages():
                picture = decode(read_image_bytes(path), upright=upright)
        except (OSError, ValueError, tf.errors.InvalidArgumentError):
            continue
        yield tuple(picture.shape)


def read(
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

    def read_part(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        return _decoded([_content(path) for path in listing.paths[rows]], traced, fit.shape)

    with ThreadPoolExecutor() as threads:
        for start in range(0, len(listing.paths), IMAGES_PER_BATCH):
            stop = min(start + IMAGES_PER_BATCH, len(listing.paths))
            calls = [
                slice(k, min(k + IMAGES_PER_CALL, stop))
                for k in range(start, stop, IMAGES_PER_CALL)
            ]
            with suppress_decoder_messages():
                parts = list(threads.map(read_part, calls))
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
