"""Random changes of colour pictures, stateless: the same seed makes the same change.

Every function takes (features [batch, height, width, channels], target, integer
seed [2]) and gives features and target of the same form. A strength of 1 is a
usual amount, 0 none.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.images.augmentation import random_affine

Augment = Callable[[Any, Any, Any], Any]
AREA = 0.5  # at strength 1 a crop keeps at least this share of the picture
TONE = 0.3  # and brightness, contrast and saturation change by up to this share
TURN = np.deg2rad(20)
SHEAR = 0.2
SHIFT = 0.15  # of the side
OPERATIONS = 8  # of RandAugment here
DRAWN = 2  # of them a picture


def altered(kind: str, strength: float) -> Augment | None:
    """The change of a picture by its name; None where the kind leaves single pictures alone."""
    kinds = {
        "crop": random_crop,
        "rotate": random_affine,
        "colour": random_colour,
        "randaugment": random_operations,
    }
    return kinds[kind](strength) if kind in kinds and strength else None


def mixed(kind: str, strength: float) -> Augment | None:
    """The mixture of two examples by its name; None where the kind mixes nothing.

    Targets are distributions over the classes, [batch, classes].
    """
    kinds = {"mixup": mix_up, "cutmix": cut_mix}
    return kinds[kind](strength) if kind in kinds and strength else None


def random_crop(strength: float) -> Augment:
    """A random part of at least the area 1 - strength/2, stretched to the whole."""

    def augment(images: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        area, aspect, top, left = _uniform(seed, 4, count)
        area = 1 - min(strength * AREA, 0.9) * area
        ratio = tf.exp(strength * 0.15 * (2 * aspect - 1))
        tall = tf.minimum(tf.sqrt(area) * ratio, 1.0)
        wide = tf.minimum(tf.sqrt(area) / ratio, 1.0)
        top, left = top * (1 - tall), left * (1 - wide)
        boxes = tf.stack([top, left, top + tall, left + wide], 1)
        cropped = tf.image.crop_and_resize(images, boxes, tf.range(count), [height, width])
        return _like(cropped, images), target

    return augment


def random_colour(strength: float) -> Augment:
    """Brightness, contrast and saturation, each by its own random factor."""

    def augment(images: Any, target: Any, seed: Any) -> Any:
        amounts = strength * TONE * (2 * _uniform(seed, 3, tf.shape(images)[0]) - 1)
        return _like(_toned(tf.cast(images, tf.float32), *tf.unstack(amounts)), images), target

    return augment


def random_operations(strength: float) -> Augment:
    """RandAugment: two of eight operations a picture, each by the same strength.

    Turning, shearing, shifting across and down, brightness, contrast, saturation
    and fewer grey levels. The geometric ones of a picture are one transform.

    References:
        Cubuk et al., RandAugment, NeurIPS 2020.

    """

    def augment(images: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(images)[0], images.shape[1:3]
        order = tf.argsort(_uniform(seed, OPERATIONS, count), axis=0)
        chosen = tf.cast(order < DRAWN, tf.float32)
        sign = tf.sign(_uniform(seed + 1, OPERATIONS, count) - 0.5)
        turn, shear, across, down, *tones, levels = tf.unstack(strength * chosen * sign)
        cosine, sine = tf.cos(turn * TURN), tf.sin(turn * TURN)
        slant = cosine * shear * SHEAR
        x, y, zero = (width - 1) / 2, (height - 1) / 2, tf.zeros_like(turn)
        rows = [cosine, slant - sine, x - cosine * x - (slant - sine) * y + across * SHIFT * width]
        rows += [sine, cosine, y - sine * x - cosine * y + down * SHIFT * height, zero, zero]
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32),
            transforms=tf.stack(rows, 1),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
            fill_value=128.0,
        )
        toned = _toned(moved, *(TONE * tone for tone in tones))
        step = _each(tf.where(levels == 0, 1.0, 2.0 ** tf.round(2 + 3 * min(strength, 1.0))))
        return _like(tf.floor(toned / step) * step, images), target

    return augment


def mix_up(strength: float) -> Augment:
    """Every example becomes a mixture with another; the shares come from Beta(0.4 strength).

    References:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.

    """

    def augment(features: Any, target: Any, seed: Any) -> Any:
        share, partner = _shares(seed, tf.shape(target)[0], 0.4 * strength)
        place = tf.cast(tf.reshape(share, [-1] + [1] * (len(features.shape) - 1)), features.dtype)
        mixture = place * features + (1 - place) * tf.gather(features, partner)
        return mixture, _blended(target, partner, share)

    return augment


def cut_mix(strength: float) -> Augment:
    """A rectangle of every example comes from another; its area is drawn from Beta(strength).

    References:
        Yun et al., CutMix, ICCV 2019.

    """

    def augment(features: Any, target: Any, seed: Any) -> Any:
        count, (height, width) = tf.shape(target)[0], features.shape[1:3]
        share, partner = _shares(seed, count, strength)
        half = tf.sqrt(1 - share) / 2
        centre = _uniform(seed + 2, 2, count)
        rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
        columns = (tf.range(width, dtype=tf.float32) + 0.5) / width
        inside = (
            (tf.abs(rows[:, None] - _flat(centre[0])) < _flat(half))
            & (tf.abs(columns[None, :] - _flat(centre[1])) < _flat(half))
        )[..., tf.newaxis]
        # What was really cut: a rectangle may reach beyond the border.
        kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), [1, 2, 3])
        mixture = tf.where(inside, tf.gather(features, partner), features)
        return mixture, _blended(target, partner, kept)

    return augment


def _shares(seed: Any, count: Any, alpha: float) -> tuple[Any, Any]:
    """Draws from Beta(alpha, alpha), [count], and a partner for each example."""
    one, other = (tf.random.stateless_gamma([count], seed + k, alpha) + 1e-6 for k in (3, 4))
    partner = tf.argsort(tf.random.stateless_uniform([count], seed + 5))
    return one / (one + other), partner


def _blended(target: Any, partner: Any, share: Any) -> Any:
    share = tf.cast(share, target.dtype)[:, tf.newaxis]
    return share * target + (1 - share) * tf.gather(target, partner)


def _toned(images: Any, brightness: Any, contrast: Any, saturation: Any) -> Any:
    """Shares by which each picture of the batch is changed; 0 leaves it."""
    images = images * _each(1 + brightness)
    middle = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
    images = (images - middle) * _each(1 + contrast) + middle
    grey = tf.reduce_mean(images, -1, keepdims=True)
    return (images - grey) * _each(1 + saturation) + grey


def _uniform(seed: Any, rows: int, count: Any) -> Any:
    return tf.random.stateless_uniform([rows, count], seed)


def _each(values: Any) -> Any:
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _flat(values: Any) -> Any:
    return values[:, tf.newaxis, tf.newaxis]


def _like(pixels: Any, images: Any) -> Any:
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), images.dtype)
