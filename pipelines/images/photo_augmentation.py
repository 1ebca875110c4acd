"""Random augmentation of colour pictures; stateless: equal seeds give equal pictures.

Every function takes (features [batch, height, width, channels], target, integer seed [2]) and
returns features and target of the same form. Strength 1 is the usual amount, 0 is none.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.images.augmentation import random_affine

Augment = Callable[[Any, Any, Any], Any]
# Largest changes at strength 1.
MAX_CROPPED_SHARE = 0.5  # of the picture's area
MAX_TONE_CHANGE = 0.3  # relative change of brightness, contrast and saturation
MAX_ROTATION = np.deg2rad(20)
MAX_SHEAR = 0.2
MAX_SHIFT = 0.15  # share of the side
NUM_OPERATIONS = 8  # of RandAugment
OPERATIONS_PER_IMAGE = 2


def single_image_augmentation(kind: str, strength: float) -> Augment | None:
    """Return the augmentation of this name if it changes single pictures, else None."""
    kinds = {
        "crop": random_crop,
        "rotate": random_affine,
        "colour": random_colour,
        "randaugment": random_operations,
    }
    return kinds[kind](strength) if kind in kinds and strength else None


def mixing_augmentation(kind: str, strength: float) -> Augment | None:
    """Return the augmentation of this name if it mixes two examples, else None.

    Targets are distributions over the classes, [batch, classes].
    """
    kinds = {"mixup": mix_up, "cutmix": cut_mix}
    return kinds[kind](strength) if kind in kinds and strength else None


def random_crop(strength: float) -> Augment:
    """Crop a random part with at least the area 1 - strength/2, and stretch it to full size."""

    def augment(images: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        area, aspect, top, left = _uniform(seed, 4, count)
        area = 1 - min(strength * MAX_CROPPED_SHARE, 0.9) * area
        ratio = tf.exp(strength * 0.15 * (2 * aspect - 1))
        tall = tf.minimum(tf.sqrt(area) * ratio, 1.0)
        wide = tf.minimum(tf.sqrt(area) / ratio, 1.0)
        top, left = top * (1 - tall), left * (1 - wide)
        boxes = tf.stack([top, left, top + tall, left + wide], 1)
        cropped = tf.image.crop_and_resize(images, boxes, tf.range(count), [height, width])
        return _as_pixels(cropped, images), target

    return augment


def random_colour(strength: float) -> Augment:
    """Change brightness, contrast and saturation of each picture by random factors."""

    def augment(images: Any, target: Any, seed: Any) -> Any:
        amounts = strength * MAX_TONE_CHANGE * (2 * _uniform(seed, 3, tf.shape(images)[0]) - 1)
        return _as_pixels(
            _change_tones(tf.cast(images, tf.float32), *tf.unstack(amounts)), images
        ), target

    return augment


def random_operations(strength: float) -> Augment:
    """Apply RandAugment: two of eight operations per picture, all with the same strength.

    The operations are rotation, shearing, horizontal and vertical shift, brightness, contrast,
    saturation and posterisation. The geometric ones are combined into one transform.

    References:
        Cubuk et al., RandAugment, NeurIPS 2020.

    """

    def augment(images: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        order = tf.argsort(_uniform(seed, NUM_OPERATIONS, count), axis=0)
        chosen = tf.cast(order < OPERATIONS_PER_IMAGE, tf.float32)
        sign = tf.sign(_uniform(seed + 1, NUM_OPERATIONS, count) - 0.5)
        turn, shear, across, down, *tones, levels = tf.unstack(strength * chosen * sign)
        cosine, sine = tf.cos(turn * MAX_ROTATION), tf.sin(turn * MAX_ROTATION)
        slant = cosine * shear * MAX_SHEAR
        x, y, zero = (width - 1) / 2, (height - 1) / 2, tf.zeros_like(turn)
        rows = [
            cosine,
            slant - sine,
            x - cosine * x - (slant - sine) * y + across * MAX_SHIFT * width,
        ]
        rows += [sine, cosine, y - sine * x - cosine * y + down * MAX_SHIFT * height, zero, zero]
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),
            transforms=tf.stack(rows, 1),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=128.0,
        )
        toned = _change_tones(moved, *(MAX_TONE_CHANGE * tone for tone in tones))
        step = _per_image(tf.where(levels == 0, 1.0, 2.0 ** tf.round(2 + 3 * min(strength, 1.0))))
        return _as_pixels(tf.floor(toned / step) * step, images), target

    return augment


def mix_up(strength: float) -> Augment:
    """Blend each example with another one; the weights are drawn from Beta(0.4 strength).

    References:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.

    """

    def augment(features: Any, target: Any, seed: Any) -> Any:
        weights, partner = _draw_mixing_weights(seed, tf.shape(target)[0], 0.4 * strength)
        weight = tf.cast(
            tf.reshape(weights, [-1] + [1] * (len(features.shape) - 1)), features.dtype
        )
        mixture = weight * features + (1 - weight) * tf.gather(features, partner)
        return mixture, _blended(target, partner, weights)

    return augment


def cut_mix(strength: float) -> Augment:
    """Replace a rectangle of each example by another one; its area is drawn from Beta(strength).

    References:
        Yun et al., CutMix, ICCV 2019.

    """

    def augment(features: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(target)[0], features.shape[1:3]
        weights, partner = _draw_mixing_weights(seed, count, strength)
        half = tf.sqrt(1 - weights) / 2
        centre = _uniform(seed + 2, 2, count)
        rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
        columns = (tf.range(width, dtype=tf.float32) + 0.5) / width
        inside = (
            (tf.abs(rows[:, None] - _per_row(centre[0])) < _per_row(half))
            & (tf.abs(columns[None, :] - _per_row(centre[1])) < _per_row(half))
        )[..., tf.newaxis]
        # The share that is really replaced: a rectangle may reach beyond the border.
        kept_share = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), [1, 2, 3])
        mixture = tf.where(inside, tf.gather(features, partner), features)
        return mixture, _blended(target, partner, kept_share)

    return augment


def _draw_mixing_weights(seed: Any, count: Any, alpha: float) -> tuple[Any, Any]:
    """Draw weights [count] from Beta(alpha, alpha), and a partner for each example."""
    first, second = (tf.random.stateless_gamma([count], seed + k, alpha) + 1e-6 for k in (3, 4))
    partner = tf.argsort(tf.random.stateless_uniform([count], seed + 5))
    return first / (first + second), partner


def _blended(target: Any, partner: Any, weights: Any) -> Any:
    weights = tf.cast(weights, target.dtype)[:, tf.newaxis]
    return weights * target + (1 - weights) * tf.gather(target, partner)


def _change_tones(images: Any, brightness: Any, contrast: Any, saturation: Any) -> Any:
    """Change the tones of each picture by relative amounts; 0 changes nothing."""
    images = images * _per_image(1 + brightness)
    middle = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
    images = (images - middle) * _per_image(1 + contrast) + middle
    grey = tf.reduce_mean(images, -1, keepdims=True)
    return (images - grey) * _per_image(1 + saturation) + grey


def _uniform(seed: Any, rows: int, count: Any) -> Any:
    return tf.random.stateless_uniform([rows, count], seed)


def _per_image(values: Any) -> Any:
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _per_row(values: Any) -> Any:
    return values[:, tf.newaxis, tf.newaxis]


def _as_pixels(pixels: Any, images: Any) -> Any:
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), images.dtype)
