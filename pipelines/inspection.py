"""For who only looks at data: what was read is kept beside it, and images are kept small.

Training never looks: it needs neither, and pays for neither.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

SIDE = 32  # pixels of an image that stands for a larger one
# What is being done, how many of how many.
Progress = Callable[[str, int, int], None]


class Origins(NamedTuple):
    """Where stored examples come from.

    Attributes:
        read: the table, or the listing of files, that was read.
        rows: for each stored example its place there.

    """

    read: Any
    rows: np.ndarray


@dataclasses.dataclass
class Look:
    """What is collected while data are read.

    Attributes:
        progress: is told how far reading is.
        tables: of a source of rows, as read.
        folders: of a source of pictures: by split what was found, in the order of reading.

    """

    progress: Progress
    tables: Any = None
    folders: list[tuple[str, Any]] = dataclasses.field(default_factory=list)


_NOW: contextvars.ContextVar[Look | None] = contextvars.ContextVar("look", default=None)


@contextlib.contextmanager
def looking(progress: Progress) -> Iterator[Look]:
    """Within this, examples know their origins and hold thumbnails in place of images."""
    look = Look(progress)
    token = _NOW.set(look)
    try:
        yield look
    finally:
        _NOW.reset(token)


def now() -> Look | None:
    """The look that is being taken; None while training reads."""
    return _NOW.get()


def origins(read: Any, rows: np.ndarray) -> Origins | None:
    """Of the examples made from these rows; None where nobody looks."""
    return Origins(read, rows) if now() else None


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Images [n, height, width, channels] of at most SIDE pixels a side; other arrays as they are.

    A pixel is the mean of those that it stands for.
    """
    if images.ndim != 4 or max(images.shape[1:3]) <= SIDE:
        return images
    if images.shape[1] % SIDE == images.shape[2] % SIDE == 0:
        return _means(images)
    import tensorflow as tf

    small = tf.image.resize(images, (SIDE, SIDE), method="area")
    return tf.cast(tf.round(small), tf.uint8).numpy()


def _means(images: np.ndarray) -> np.ndarray:
    """As `thumbnails`, where SIDE divides both sides: sums of whole rows, then of columns."""
    count, high, wide, channels = images.shape
    height, width = high // SIDE, wide // SIDE
    rows = images.reshape(count, SIDE, height, wide * channels)
    sums = _added(rows, 2).reshape(count, SIDE, SIDE, width, channels)
    means = _added(sums, 3).astype("float32") / np.float32(height * width)
    return np.round(means).astype("uint8")


def _added(numbers: np.ndarray, axis: int) -> np.ndarray:
    """The sum over a short axis: NumPy's own is six times as slow there."""
    first, *others = np.moveaxis(numbers, axis, 0)
    total = first.astype("uint32")
    for other in others:
        total += other
    return total
