"""A picture of any size becomes one of the size that a backbone takes."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import DataError
from pipelines.images.pixelwise import recoloured
from pipelines.images.preprocessing import FitImage

MOST_SIDE = 128  # pixels of small images of several sizes
LARGE, SMALL = 224, 96  # what most backbones were trained at; enough for pictures of few pixels


@dataclasses.dataclass(frozen=True)
class FitPhoto:
    """One decoded picture of any size becomes one of the training size, in colour.

    Transparent parts are laid on white, grey becomes colour, and the whole
    picture is stretched to the shape: nothing is cut off. One of the right shape
    passes unchanged. Reading a set, answering a user's file and the export's
    signature over encoded files all go through here.

    Attributes:
        shape: height, width, 3.

    """

    shape: tuple[int, int, int]

    def __call__(self, image: Any) -> Any:
        """uint8 [height, width, 1 to 4 channels] of any size -> uint8 of `shape`."""
        image = recoloured(image, 3)
        size = tf.shape(image)[:2]
        # Averaging makes a difference only to what gets smaller, and takes longer.
        resized = tf.cond(
            tf.reduce_any(size > self.shape[:2]),
            lambda: tf.image.resize(image, self.shape[:2], antialias=True),
            lambda: tf.image.resize(image, self.shape[:2]),
        )
        resized = tf.cast(resized, tf.float32)  # an image of the right size stays uint8
        # Means of levels from 0 to 255 are such levels.
        return tf.ensure_shape(tf.cast(tf.round(resized), tf.uint8), self.shape)


Reading = FitImage | FitPhoto
Shape = tuple[int, int, int]  # height, width, channels
# From the shapes of some of a set's pictures to how each becomes one size.
Fitting = Callable[[Sequence[Shape]], Reading]


def reading(way: str, shape: Sequence[int], **options: Any) -> Reading:
    """What a manifest tells of how pictures are read, as what reads them."""
    ways: dict[str, type[Reading]] = {cls.__name__: cls for cls in (FitImage, FitPhoto)}
    return ways[way](shape=tuple(shape), **options)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Squares:
    """Photographs become squares in colour, of this side; with 0, of a side that suits the set."""

    side: int

    def __call__(self, shapes: Sequence[Shape]) -> FitPhoto:
        """By the middle of the shorter sides."""
        shorter = np.median([min(shape[:2]) for shape in shapes])
        chosen = self.side or (LARGE if shorter > SMALL else SMALL)
        return FitPhoto((chosen, chosen, 3))

    def like(self, shape: Shape) -> FitPhoto:
        """Stretched."""
        return FitPhoto(shape)


@dataclasses.dataclass(frozen=True)
class SmallImages:
    """Small images stay as they are; of several sizes they become squares of the usual side."""

    def __call__(self, shapes: Sequence[Shape]) -> FitImage:
        """Grey where all are grey. Raises DataError for large pictures of several sizes."""
        sizes = {shape[:2] for shape in shapes}
        side = int(np.median([min(size) for size in sizes]))
        if len(sizes) > 1 and side > MOST_SIDE:
            raise DataError(
                f"Received pictures of several sizes, usually of {side} pixels; expected small "
                f"ones, of one size or up to {MOST_SIDE} pixels. Take athanor finetune, or resize "
                "them beforehand."
            )
        height, width = sizes.pop() if len(sizes) == 1 else (side, side)
        return self.like((height, width, 1 if all(shape[2] < 3 for shape in shapes) else 3))

    def like(self, shape: Shape) -> FitImage:
        """Scaled, with their proportions, and laid on black."""
        return FitImage(shape, None, 1.0)
