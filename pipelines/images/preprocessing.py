"""Image preprocessing: standardisation, and fitting of any image to the training images."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples
from pipelines.images.pixelwise import map_pixels, recoloured
from pipelines.splits import Splits

MAX_SAMPLED_IMAGES = 2000  # from which the statistics of a set are estimated


@keras.saving.register_keras_serializable("athanor")
class Standardize(keras.layers.Layer):
    """Standardise pixels from 0 to 255 to float32 with mean 0 and standard deviation 1.

    Args:
        mean: mean of all training pixels.
        deviation: standard deviation of all training pixels.

    """

    def __init__(self, mean: float, deviation: float, **kwargs: Any) -> None:
        # float32 under every precision policy: the model casts its inputs.
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.mean, self.deviation = mean, deviation

    @classmethod
    def adapted(cls, examples: Examples) -> "Standardize":
        """Estimate mean and deviation from training examples [height, width, channels]."""
        pixels = _sample_pixels(examples).astype("float64")
        return cls(float(pixels.mean()), float(max(pixels.std(), 1.0)))

    def call(self, images: Any) -> Any:
        """Standardise images [batch, height, width, channels] of any number type to float32."""
        return (tf.cast(images, tf.float32) - self.mean) / self.deviation

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`."""
        return super().get_config() | {"mean": self.mean, "deviation": self.deviation}


@dataclasses.dataclass(frozen=True)
class FitImage:
    """Make one decoded image of any size look like the images of the training set.

    An image of the right size and channels stays unchanged. Other images are converted to grey or
    colour, put on white where they are transparent, and resized with their proportions. If the
    training images have a flat background, an image on the opposite background is inverted, grey
    levels are stretched, and the drawn object is cut out, scaled to its usual size in the training
    set, and placed with its centre of mass in the middle.

    Attributes:
        shape: height, width, channels of the training images.
        background: grey level of the training images' background from 0 to 255, or None if it
            is not flat.
        extent: the objects' longer side as a share of the image's shorter side.
        upright: whether photographs are turned as the camera says (EXIF) before.

    """

    shape: tuple[int, int, int]
    background: float | None
    extent: float
    upright: bool = True

    @classmethod
    def adapted(cls, examples: Examples) -> "FitImage":
        """Estimate background and extent of training images, uint8 [height, width, channels]."""
        pixels = _sample_pixels(examples)
        grey = pixels.mean(-1)
        border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
        background = float(np.median(border))
        if np.mean(np.abs(border - background) < 32) < 0.75:
            return cls(pixels.shape[1:], None, 1.0)
        drawn = np.abs(grey - background) > 64
        sides = [drawn.any(2).sum(1), drawn.any(1).sum(1)]
        extent = float(np.median(np.max(sides, axis=0))) / min(grey.shape[1:])
        return cls(pixels.shape[1:], background, min(max(extent, 0.1), 1.0))

    def __call__(self, image: Any) -> Any:
        """Fit uint8 [height, width, 1 to 4 channels] of any size to uint8 of the training shape."""
        image = recoloured(image, self.shape[-1])
        if self.background is not None:
            image = self._match_background(image)
        fitted = tf.cond(
            tf.reduce_all(tf.equal(tf.shape(image), self.shape)),
            lambda: image,
            lambda: self._resize(image),
        )
        # After the branches: TensorFlow's optimizer of graphs moves a check within one
        # before the cast, and so out of the branch, where other sizes fail.
        return tf.ensure_shape(fitted, self.shape)

    def _match_background(self, image: Any) -> Any:
        """Invert the image if needed, and stretch its grey levels to match the background."""
        level = self.background or 0.0
        edges = _edges(image)
        border = _middle(edges)
        opposite = tf.abs(255 - border - level) < tf.abs(border - level)
        right = tf.equal(_middle(tf.where(opposite, 255 - edges, edges)), level)
        upright_border = tf.where(opposite, 255 - border, border)
        # Paper on a photograph is never quite white, nor ink quite black.
        extremes = tf.cast([tf.reduce_min(image), tf.reduce_max(image)], tf.float32)
        reach = tf.maximum(tf.reduce_max(tf.abs(extremes - border)), 1.0)
        room = max(level, 255 - level)

        def even_out(pixels: Any) -> Any:
            pixels = tf.cast(pixels, tf.float32)
            pixels = tf.where(opposite, 255 - pixels, pixels)
            stretched = tf.round(level + (pixels - upright_border) * (room / reach))
            return tf.where(right, pixels, tf.clip_by_value(stretched, 0, 255))

        return map_pixels(even_out, image, self.shape[-1])

    def _resize(self, image: Any) -> Any:
        height, width, _ = self.shape
        fill, extent = 0.0, 1.0
        if self.background is not None:
            fill, extent = _middle(_edges(image)), self.extent
            image = self._crop_object(image, fill)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = min(height, width) * extent / tf.reduce_max(size)
        side = tf.maximum(tf.cast(tf.round(size * scale), tf.int32), 1)
        small = tf.cast(tf.image.resize(image, side, antialias=True), tf.float32)
        top, left = self._corner(tf.abs(small - fill), side)
        # Padding with a value other than 0: shift the level, pad, shift back.
        padded = tf.image.pad_to_bounding_box(small - fill, top, left, height, width) + fill
        return tf.cast(tf.clip_by_value(tf.round(padded), 0, 255), tf.uint8)

    def _corner(self, ink: Any, side: Any) -> Any:
        """Return the corner at which an image has its centre of mass in the middle, as in MNIST."""
        frame = tf.constant(self.shape[:2])
        if self.background is None:
            return tf.unstack((frame - side) // 2)
        mass = tf.reduce_sum(ink[..., 0], 1), tf.reduce_sum(ink[..., 0], 0)
        centre = [
            tf.reduce_sum(line * tf.range(tf.size(line), dtype=tf.float32))
            / tf.maximum(tf.reduce_sum(line), 1.0)
            for line in mass
        ]
        middle = tf.cast(frame, tf.float32) / 2
        corner = tf.cast(tf.round(middle - tf.stack(centre)), tf.int32)
        return tf.unstack(tf.clip_by_value(corner, 0, frame - side))

    def _crop_object(self, image: Any, border: Any) -> Any:
        def differs(pixels: Any) -> Any:
            distance = tf.abs(tf.cast(pixels, tf.float32) - border)
            return tf.reduce_any(distance > 64, -1, keepdims=True)

        drawn = tf.cast(map_pixels(differs, image, 1)[..., 0], tf.bool)
        rows = tf.where(tf.reduce_any(drawn, 1))[:, 0]
        columns = tf.where(tf.reduce_any(drawn, 0))[:, 0]
        return tf.cond(
            tf.reduce_any(drawn),
            lambda: image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
            lambda: image,
        )


def _edges(image: Any) -> Any:
    """Return all values of the outermost pixels as float32 [n]."""
    edges = [image[0], image[-1], image[:, 0], image[:, -1]]
    return tf.cast(tf.reshape(tf.concat(edges, 0), [-1]), tf.float32)


def _middle(values: Any) -> Any:
    return tf.sort(values)[tf.size(values) // 2]


def require_classes(splits: Splits, address: str) -> None:
    """Raise DataError unless the splits hold images of one size in at least two classes."""
    shape, dtype = splits.spec["features"]
    kind, _ = splits.spec["target"]
    if len(shape) != 3 or shape[-1] not in (1, 3) or dtype != "uint8" or kind != ():
        raise DataError(
            f"Received {address!r} with inputs {dtype} {list(shape)}; expected images: uint8 "
            "[height, width, 1 or 3] with one class each. Choose another set or app."
        )
    classes = np.unique(splits.train.targets)
    if len(classes) < 2 or not splits.labels:
        raise DataError(
            f"Received {address!r}, whose training examples are all of one class; expected at "
            "least two classes. Add examples of another class."
        )


def _sample_pixels(examples: Examples) -> np.ndarray:
    step = -(-len(examples) // MAX_SAMPLED_IMAGES)
    return examples.numpy(slice(None, None, step)).features
