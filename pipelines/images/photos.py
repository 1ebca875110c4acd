"""Resize images of any size to the one size that a network takes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import tensorflow as tf

from pipelines.examples import DataError
from pipelines.images.pixelwise import recoloured
from pipelines.images.preprocessing import FitImage

MAX_SMALL_SIDE = 128  # pixels; small images may be of several sizes up to this one
LARGE_SIDE = 224  # pixels; most backbones were trained with it
SMALL_SIDE = 96  # pixels; enough for small pictures


@dataclasses.dataclass(frozen=True)
class FitPhoto:
    """Resize one decoded picture of any size to the training size, in colour.

    Transparent parts become white, grey becomes colour, and the whole picture is stretched to the
    shape; nothing is cropped. A picture of the right shape stays unchanged. Training, prediction
    and the export's signature for encoded files all use this class.

    Attributes:
        shape: height, width, 3.
        upright: whether photographs are turned as the camera says (EXIF) before.

    """

    shape: tuple[int, int, int]
    upright: bool = True

    def __call__(self, image: Any) -> Any:
        """Resize uint8 [height, width, 1 to 4 channels] of any size to uint8 of `shape`."""
        image = recoloured(image, 3)
        size = tf.shape(image)[:2]
        # Antialiasing makes a difference only when an image shrinks, and takes longer.
        resized = tf.cond(
            tf.reduce_any(size > self.shape[:2]),
            lambda: tf.image.resize(image, self.shape[:2], antialias=True),
            lambda: tf.image.resize(image, self.shape[:2]),
        )
        resized = tf.cast(resized, tf.float32)  # an image of the right size stays uint8
        # Interpolated levels stay within 0 to 255.
        return tf.ensure_shape(tf.cast(tf.round(resized), tf.uint8), self.shape)


ImageFitter = FitImage | FitPhoto
ImageShape = tuple[int, int, int]  # height, width, channels


class FitterFactory(Protocol):
    """Makes the fitter of a data set from the shapes of some of its images."""

    @property
    def upright(self) -> bool:
        """Whether photographs are turned as the camera says (EXIF)."""

    def __call__(self, shapes: Sequence[ImageShape]) -> ImageFitter:
        """Return the fitter."""


def fitter_from_manifest(way: str, shape: Sequence[int], **options: Any) -> ImageFitter:
    """Make the fitter that a manifest describes."""
    classes: dict[str, type[ImageFitter]] = {cls.__name__: cls for cls in (FitImage, FitPhoto)}
    return classes[way](shape=tuple(shape), **options)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class AlwaysFit:
    """Makes the same fitter for every data set."""

    fit: ImageFitter

    @property
    def upright(self) -> bool:
        """As of the fitter."""
        return self.fit.upright

    def __call__(self, shapes: Sequence[ImageShape]) -> ImageFitter:  # noqa: ARG002
        """Return the fitter."""
        return self.fit


@dataclasses.dataclass(frozen=True)
class SquarePhotos:
    """Photographs become colour squares with this side; with 0 the side depends on the set.

    `upright` tells whether they are turned as the camera says (EXIF) before.
    """

    side: int
    upright: bool = True

    def __call__(self, shapes: Sequence[ImageShape]) -> FitPhoto:
        """Choose the side by the median of the shorter sides."""
        shorter = np.median([min(shape[:2]) for shape in shapes])
        chosen = self.side or (LARGE_SIDE if shorter > SMALL_SIDE else SMALL_SIDE)
        return FitPhoto((chosen, chosen, 3), self.upright)

    def like(self, shape: ImageShape) -> FitPhoto:
        """Return a fitter that stretches pictures to a given shape."""
        return FitPhoto(shape, self.upright)


@dataclasses.dataclass(frozen=True)
class SmallImageFitting:
    """Small images stay as they are; if sizes differ, they become squares of the median side."""

    upright: ClassVar[bool] = True

    def __call__(self, shapes: Sequence[ImageShape]) -> FitImage:
        """Use grey if all are grey. Raises DataError for large pictures of several sizes."""
        sizes = {shape[:2] for shape in shapes}
        side = int(np.median([min(size) for size in sizes]))
        if len(sizes) > 1 and side > MAX_SMALL_SIDE:
            raise DataError(
                f"Received pictures of several sizes, with a median side of {side} pixels; "
                f"expected small ones, of one size or up to {MAX_SMALL_SIDE} pixels. Use athanor "
                "finetune, or resize them beforehand."
            )
        height, width = sizes.pop() if len(sizes) == 1 else (side, side)
        return self.like((height, width, 1 if all(shape[2] < 3 for shape in shapes) else 3))

    def like(self, shape: ImageShape) -> FitImage:
        """Return a fitter that scales pictures, keeps their proportions and pads with black."""
        return FitImage(shape, None, 1.0)
