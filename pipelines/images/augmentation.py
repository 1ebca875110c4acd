"""Random geometric augmentation of small images; stateless: equal seeds give equal images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

# Largest changes at strength 1: small enough that a handwritten 6 stays a 6.
MAX_ROTATION = np.deg2rad(10)
MAX_ZOOM = 0.1
MAX_SHIFT = 0.07  # share of the side


def random_affine(strength: float) -> Callable[[Any, Any, Any], Any]:
    """Make a function that rotates, zooms and shifts each image of a batch randomly.

    It maps (images [batch, height, width, channels], target, integer seed [2]) to images of the
    same shape and dtype, and the target. At strength 1 the amounts are uniform between -10 and 10
    degrees, -10 and 10 %, and -7 and 7 % of the side; other strengths scale these ranges. Pixels
    from outside the image repeat its border.
    """

    def augment(images: Any, target: Any, seed: Any) -> Any:
        height, width = images.shape[1:3]
        drawn = strength * tf.random.stateless_uniform([4, tf.shape(images)[0]], seed, -1, 1)
        angle, zoom = drawn[0] * MAX_ROTATION, 1 + drawn[1] * MAX_ZOOM
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=_about_centre(
                zoom * tf.cos(angle),
                zoom * tf.sin(angle),
                centre=((width - 1) / 2, (height - 1) / 2),
                shift=(drawn[2] * MAX_SHIFT * width, drawn[3] * MAX_SHIFT * height),
            ),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )
        return moved, target

    return augment


def _about_centre(cosine: Any, sine: Any, *, centre: tuple, shift: tuple) -> Any:
    """Return the rotation and zoom about the centre, and a shift, as TensorFlow's transform.

    A row [a, b, c, d, e, f, 0, 0] is the map (x, y) -> (ax + by + c, dx + ey + f).
    """
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
