"""What data checks collect while data are read: sources of examples, and small images.

Readers take an optional `inspection`. Training passes none, so it costs training nothing.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

THUMBNAIL_SIDE_PIXELS = 32
# Called with the name of an activity, how many parts of it are done, and how many there are.
Progress = Callable[[str, int, int], None]


class Origins(NamedTuple):
    """Where stored examples come from.

    Attributes:
        source: the table, or the listing of files, that was read.
        rows: for each stored example its row or file there.

    """

    source: Any
    rows: np.ndarray


@dataclasses.dataclass
class Inspection:
    """Collects what checks need while data are read.

    With an inspection, examples have `origins`, and thumbnails replace large images.

    Attributes:
        progress: is called while files are read.
        tables: the tables, as read, if the source has tables.
        folders: the split and the listing of each folder, if the source has image files.

    """

    progress: Progress
    tables: Any = None
    folders: list[tuple[str, Any]] = dataclasses.field(default_factory=list)


def origins_of(inspection: Inspection | None, source: Any, rows: np.ndarray) -> Origins | None:
    """Return the origins of examples made from rows of a source; None without an inspection."""
    return Origins(source, rows) if inspection else None


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Shrink images [n, height, width, channels] to THUMBNAIL_SIDE_PIXELS by averaging pixels.

    Smaller images and other arrays stay as they are.
    """
    if images.ndim != 4 or max(images.shape[1:3]) <= THUMBNAIL_SIDE_PIXELS:
        return images
    if images.shape[1] % THUMBNAIL_SIDE_PIXELS == images.shape[2] % THUMBNAIL_SIDE_PIXELS == 0:
        return _means(images)
    import tensorflow as tf

    small = tf.image.resize(images, (THUMBNAIL_SIDE_PIXELS, THUMBNAIL_SIDE_PIXELS), method="area")
    return tf.cast(tf.round(small), tf.uint8).numpy()


def _means(images: np.ndarray) -> np.ndarray:
    """Do what `thumbnails` does for sides that are multiples: sum whole rows, then columns."""
    count, high, wide, channels = images.shape
    height, width = high // THUMBNAIL_SIDE_PIXELS, wide // THUMBNAIL_SIDE_PIXELS
    rows = images.reshape(count, THUMBNAIL_SIDE_PIXELS, height, wide * channels)
    sums = _sum(rows, 2).reshape(
        count, THUMBNAIL_SIDE_PIXELS, THUMBNAIL_SIDE_PIXELS, width, channels
    )
    means = _sum(sums, 3).astype("float32") / np.float32(height * width)
    return np.round(means).astype("uint8")


def _sum(numbers: np.ndarray, axis: int) -> np.ndarray:
    """Sum over a short axis, six times as fast as numpy.sum."""
    first, *others = np.moveaxis(numbers, axis, 0)
    total = first.astype("uint32")
    for other in others:
        total += other
    return total
