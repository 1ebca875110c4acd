"""Random image changes, stateless: the same seed makes the same change."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# What a strength of 1 may do: small enough that a 6 stays a 6.
ROTATION = np.deg2rad(10)
ZOOM = 0.1
SHIFT = 0.07  # of the side


def random_affine(strength: float) -> Callable[[Any, Any, Any], Any]:
    """Rotate, zoom and shift each image of a batch by its own random amounts.

    Returns a function of (images [batch, height, width, channels], target,
    integer seed [2]) to images of the same shape and dtype, and the target. At
    strength 1 each amount is drawn evenly from -10 to 10 degrees, -10 to 10 %
    and -7 to 7 % of the side; other strengths scale these. Pixels that come
    from outside repeat the border.
    """

    def augment(images: Any, target: Any, seed: Any) -> Any:
        height, width = images.shape[1:3]
        drawn = strength * tf.random.stateless_uniform([4, tf.shape(images)[0]], seed, -1, 1)
        angle, zoom = drawn[0] * ROTATION, 1 + drawn[1] * ZOOM
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_about_centre(
                zoom * tf.cos(angle),
                zoom * tf.sin(angle),
                centre=((width - 1) / 2, (height - 1) / 2),
                shift=(drawn[2] * SHIFT * width, drawn[3] * SHIFT * height),
            ),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )
        return moved, target

    return augment


def _about_centre(cosine: Any, sine: Any, *, centre: tuple, shift: tuple) -> Any:
    """Rows [a, b, c, d, e, f, 0, 0] that send (x, y) to (ax + by + c, dx + ey + f)."""
    (x, y), (dx, dy) = centre, shift
    zero = tf.zeros_like(cosine)
    return tf.stack(
        [
            *(cosine, -sine, x - cosine * x + sine * y + dx),
            *(sine, cosine, y - sine * x - cosine * y + dy),
            *(zero, zero),
        ],
        axis=1,
    )
