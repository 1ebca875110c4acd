"""Folders of pictures: a folder a class; what is no readable picture is named and skipped."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines import looking
from pipelines.decoded import remembered
from pipelines.examples import AddressError, Batch, DataError, Examples, store
from pipelines.files import at_home
from pipelines.image_files import bytes_of, decode
from pipelines.photos import Fitting
from pipelines.splits import Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp"}
SPLITS = {"train": ("train",), "valid": ("valid", "val", "validation"), "test": ("test",)}
CHUNK = 64  # pictures decoded before they are stored
CALL = 8  # pictures that one call of TensorFlow decodes
MEASURED = 25  # pictures that tell how large a set's are
NAMED = 5  # skipped files that are listed by name
SKIPPED = -1  # in place of a class


class Listing(NamedTuple):
    """The files of one split: what should be a picture, its class, and what should not.

    `shapes` are height, width and channels of each, 0 where it cannot be read;
    they are known after reading, to who looks.
    """

    root: Path
    paths: list[Path]
    target: list[int]
    foreign: list[Path]
    empty: list[Path]
    shapes: list[tuple[int, int, int]]

    def where(self, row: int) -> str:
        """A picture as people find it."""
        return self.paths[row].relative_to(self.root).as_posix()


def source(name: str, fitting: Fitting, memory_budget: int | None) -> Source:
    """The pictures of class folders, or of train/, val/, test/ that hold class folders.

    Args:
        name: the directory. `valid` and `validation` mean `val`; what is missing
            is cut from train later.
        fitting: how pictures become one size.
        memory_budget: bytes; larger sets are kept on the disk (see `store`).

    Raises:
        DataError: where there is no such directory or no class folder in it.

    """
    root = at_home(name)
    parts = _parts(root)
    folders = [child for part in parts.values() for child in _folders(part)]
    labels = tuple(sorted({folder.name for folder in folders if any(_pictures(folder))}))
    if not labels:
        raise DataError(
            f"Received folder:{name}, which holds no folders of pictures; expected one a class, "
            "or train/, val/ and test/ that hold them, with PNG, JPEG, GIF or BMP files."
        )
    listings = {split: _listing(root, part, labels) for split, part in parts.items()}
    fit = fitting(_usual_side([path for one in listings.values() for path in one.paths], name))
    held = {split: _read(one, fit, memory_budget) for split, one in listings.items()}
    lost = [
        path
        for split, one in listings.items()
        for path, target in zip(one.paths, held[split].targets, strict=True)
        if target == SKIPPED
    ]
    loose = _loose(root, parts)
    foreign = [path for one in listings.values() for path in one.foreign] + loose
    if look := looking.now():
        listings["train"].foreign.extend(loose)
        look.folders.extend(listings.items())
    notes = _notes(root, lost, "damaged or unknown as pictures", "expected PNG, JPEG, GIF or BMP")
    notes += _notes(root, foreign, "of other kinds", "no pictures by their names")
    readable = {
        split: examples.select(np.flatnonzero(examples.targets != SKIPPED))
        for split, examples in held.items()
    }
    return Source(**readable, labels=labels, notes=notes, side=fit.shape[0])


def _parts(root: Path) -> dict[str, Path]:
    """The directory of each split that there is; the whole root is train where none is named."""
    if not root.is_dir():
        raise AddressError(
            f"Received folder:{root}, which is no directory; expected one that holds a folder of "
            "pictures for each class."
        )
    found = {
        split: root / name
        for split, names in SPLITS.items()
        for name in names
        if (root / name).is_dir()
    }
    if "train" not in found or not _folders(found["train"]):
        return {"train": root}
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def _pictures(folder: Path) -> Iterator[Path]:
    """What should be a picture by its name, however deep."""
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _listing(root: Path, part: Path, labels: tuple[str, ...]) -> Listing:
    """The files under each class folder, however deep, in the order of their names."""
    listing = Listing(root, [], [], [], [], [])
    for folder in _folders(part):
        before = len(listing.paths)
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.name[0] == ".":
                continue
            if path.suffix.lower() in SUFFIXES:
                listing.paths.append(path)
                listing.target.append(labels.index(folder.name))
            else:
                listing.foreign.append(path)
        if len(listing.paths) == before:
            listing.empty.append(folder)
    return listing


def _loose(root: Path, parts: dict[str, Path]) -> list[Path]:
    """Files that lie in no class folder."""
    places = {root, *parts.values()}
    found = [path for place in places for path in place.iterdir()]
    return sorted(path for path in found if path.is_file() and path.name[0] != ".")


def _usual_side(paths: list[Path], name: str) -> int:
    """The middle of the shorter sides of some readable pictures, in pixels."""
    sides = []
    for path in paths[:: max(1, len(paths) // MEASURED)]:
        try:
            sides.append(min(decode(bytes_of(path)).shape[:2]))
        except (OSError, ValueError, tf.errors.InvalidArgumentError):
            continue
    if not sides:
        raise DataError(
            f"Received folder:{name}, where no picture was found that can be read; expected PNG, "
            "JPEG, GIF or BMP files in class folders."
        )
    return int(np.median(sides))


def _read(listing: Listing, fit: Callable[[Any], Any], memory_budget: int | None) -> Examples:
    """Every picture; where one cannot be read stand zeros and the class SKIPPED."""
    count = len(listing.paths)
    held = remembered(
        "" if looking.now() else _key(listing, fit),  # who looks has nothing remembered
        lambda: store(_batches(listing, fit), count, memory_budget),
    )
    names = np.array([listing.where(row) for row in range(count)], object)
    return dataclasses.replace(
        held, origins=looking.origins(listing, np.arange(count)), files=names
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
    traced = tf.function(
        lambda files: _fitted(files, fit),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    ).get_concrete_function()  # now, or every thread would trace it

    def read(some: slice) -> tuple[np.ndarray, np.ndarray]:
        return _decoded([_content(path) for path in listing.paths[some]], traced, fit.shape)

    look = looking.now()
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(listing.paths), CHUNK):
            stop = min(start + CHUNK, len(listing.paths))
            calls = [slice(k, min(k + CALL, stop)) for k in range(start, stop, CALL)]
            pixels, shapes = map(np.concatenate, zip(*threads.map(read, calls), strict=True))
            target = np.where(shapes.any(1), listing.target[start:stop], SKIPPED)
            if look:
                listing.shapes.extend(map(tuple, shapes.tolist()))
            yield Batch(pixels, target)


def _content(path: Path) -> bytes:
    """The bytes of an image file; none of one that is known to be damaged."""
    try:
        return bytes_of(path)
    except (OSError, ValueError):
        return b""


def _decoded(files: list[bytes], traced: Any, shape: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of pictures and the shapes that they had; zeros where one cannot be read."""
    try:
        pixels, shapes = traced(tf.constant(files))
        return pixels.numpy(), shapes.numpy()
    except (ValueError, tf.errors.InvalidArgumentError):
        if len(files) == 1:
            return np.zeros((1, *shape), "uint8"), np.zeros((1, 3), "int64")
    half = len(files) // 2  # one of them is damaged
    parts = [_decoded(some, traced, shape) for some in (files[:half], files[half:])]
    pixels, shapes = map(np.concatenate, zip(*parts, strict=True))
    return pixels, shapes


def _fitted(files: Any, fit: Any) -> Any:
    """Encoded pictures [n] as `fit` makes them, and the shapes that they had."""

    def one(encoded: Any) -> tuple[Any, Any]:
        picture = decode(encoded)
        return fit(picture), tf.cast(tf.shape(picture), tf.int64)

    made = (tf.TensorSpec(fit.shape, tf.uint8), tf.TensorSpec([3], tf.int64))
    # A call takes as long as a small picture: many share one. The threads are the callers'.
    return tf.map_fn(one, files, fn_output_signature=made, parallel_iterations=1)


def _notes(root: Path, paths: list[Path], what: str, why: str) -> tuple[str, ...]:
    if not paths:
        return ()
    shown = ", ".join(str(path.relative_to(root)) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return (f"skipped {files} {what} ({why}): {shown}{more}",)
