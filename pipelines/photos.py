"""A picture of any size becomes one of the size that a backbone takes."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pipelines.images import FitImage, recoloured

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
        # Means of levels from 0 to 255 are such levels.
        return tf.ensure_shape(tf.cast(tf.round(resized), tf.uint8), self.shape)


Reading = FitImage | FitPhoto


def reading(way: str, shape: Sequence[int], **options: Any) -> Reading:
    """What a passport tells of how pictures are read, as what reads them."""
    ways: dict[str, type[Reading]] = {cls.__name__: cls for cls in (FitImage, FitPhoto)}
    return ways[way](shape=tuple(shape), **options)  # type: ignore[arg-type]


# From the usual shorter side of a set's pictures, in pixels, to how each is fitted.
Fitting = Callable[[int], FitPhoto]


def squares(side: int) -> Fitting:
    """Squares of this side; with 0, of a side that suits the set."""

    def fitting(shorter: int) -> FitPhoto:
        chosen = side or (LARGE if shorter > SMALL else SMALL)
        return FitPhoto((chosen, chosen, 3))

    return fitting
