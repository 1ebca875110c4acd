"""Apply functions of single pixels to images in blocks, so that float32 copies stay small."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

MAX_BLOCK_PIXELS = 2**20


def map_pixels(function: Callable[[Any], Any], image: Any, num_channels: int) -> Any:
    """Apply a function of pixels [n, channels] to a uint8 image [height, width, channels].

    The results, whole numbers from 0 to 255 or truth values, become uint8 [height, width,
    num_channels].
    """
    shape = tf.shape(image)
    pixels = tf.reshape(image, [-1, shape[-1]])
    count = tf.shape(pixels)[0]

    def mapped(part: Any) -> Any:
        return tf.ensure_shape(tf.cast(function(part), tf.uint8), [None, num_channels])

    def in_blocks() -> Any:
        def next_block(start: Any, blocks: Any) -> tuple[Any, Any]:
            block = mapped(pixels[start : start + MAX_BLOCK_PIXELS])
            return start + MAX_BLOCK_PIXELS, blocks.write(start // MAX_BLOCK_PIXELS, block)

        num_blocks = -(-count // MAX_BLOCK_PIXELS)
        blocks = tf.TensorArray(
            tf.uint8, num_blocks, element_shape=[None, num_channels], infer_shape=False
        )
        _, blocks = tf.while_loop(
            lambda start, _: start < count,
            next_block,
            (tf.constant(0), blocks),
            parallel_iterations=1,
        )
        return blocks.concat()

    flat = tf.cond(count > MAX_BLOCK_PIXELS, in_blocks, lambda: mapped(pixels))
    return tf.reshape(flat, [shape[0], shape[1], num_channels])


def recoloured(image: Any, num_channels: int) -> Any:
    """Lay an image on white and make it grey or colour.

    uint8 [height, width, 1 to 4 channels] -> uint8 [height, width, 1 or 3 channels].
    """
    if num_channels == 3:
        return tf.cond(
            tf.equal(tf.shape(image)[-1], 3),
            lambda: image,
            lambda: map_pixels(lambda pixels: _on_white(pixels, 3), image, 3),
        )
    return map_pixels(lambda pixels: _on_white(pixels, num_channels), image, num_channels)


def _on_white(pixels: Any, num_channels: int) -> Any:
    channels = tf.shape(pixels)[-1]
    pixels = tf.cast(pixels, tf.float32)
    # Two channels are grey and alpha, four are colour and alpha.
    colour = tf.cond(
        channels > 2, lambda: pixels[..., :3], lambda: tf.repeat(pixels[..., :1], 3, -1)
    )
    alpha = tf.where(tf.equal(channels % 2, 0), pixels[..., -1:] / 255, 1.0)
    flat = colour * alpha + 255 * (1 - alpha)
    if num_channels == 1:
        luma = tf.constant([0.299, 0.587, 0.114])  # ITU-R BT.601
        flat = tf.reduce_sum(flat * luma, -1, keepdims=True)
    return tf.round(flat)
