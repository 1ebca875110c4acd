"""Decode image files, with limits on the number of pixels."""

import functools
import re
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.images import formats
from pipelines.images.orientation import exif_orientation, turned

# A file of 65 kB can hold half a billion pixels; cameras take up to 50 million.
MAX_PIXELS = 2**26
MAX_TOTAL_PIXELS = 2**28  # of the images of one request
TOO_MANY_PIXELS = f" pixels; expected at most {MAX_PIXELS}"
NOT_AN_IMAGE = f"Received no picture; expected {formats.SUPPORTED_NAMES}"
TOO_MANY_TOTAL_PIXELS = f"pictures of more than {MAX_TOTAL_PIXELS} pixels together"
MAX_GIF_PARTS = 2**16  # of 255 bytes each; counting more takes seconds
MAX_GIF_SIDE = 2**16 - 1  # pixels
BMP_HEADER_BYTES = 70  # up to the colour masks


class ImageSize(NamedTuple):
    """Height and width of an image, int64."""

    height: Any
    width: Any

    @property
    def pixels(self) -> Any:
        """Number of pixels, float64."""
        # The product of two unsigned 32-bit sides may overflow int64.
        return tf.cast(self.height, "float64") * tf.cast(self.width, "float64")


def decode(encoded: Any, *, upright: bool = True) -> Any:
    """Decode bytes of a supported format to uint8 [height, width, 1 to 4 channels].

    `upright` turns a photograph by the orientation that the camera stored in the file. Of an
    animated GIF only the first frame is returned. Raises tf.errors.InvalidArgumentError for other
    formats, also if TensorFlow could decode them, and before decoding more than `MAX_PIXELS`
    pixels. All frames of a GIF count, because TensorFlow decodes all of them.
    """
    encoded = tf.convert_to_tensor(encoded)
    return _checked_decode(encoded, image_size(encoded), upright=upright)


def decode_all(files: Any, fit: Any) -> Any:
    """Decode image files [n] to uint8 [n, *fit.shape], each turned and resized as by `fit`.

    `fit` is a FitPhoto or a FitImage. Raises tf.errors.InvalidArgumentError for files that `decode`
    refuses, and for more than `MAX_TOTAL_PIXELS` pixels.
    """
    count = tf.shape(files)[0]

    def decode_next(index: Any, pixels: Any, images: Any) -> tuple[Any, Any, Any]:
        size = image_size(files[index])
        pixels += tf.minimum(size.pixels, MAX_PIXELS)  # larger images are refused below
        within_limit = tf.debugging.Assert(
            pixels <= MAX_TOTAL_PIXELS, [f"Received {TOO_MANY_TOTAL_PIXELS}"]
        )
        with tf.control_dependencies([within_limit]):
            image = fit(_checked_decode(files[index], size, upright=fit.upright))
        return index + 1, pixels, images.write(index, image)

    images = tf.TensorArray(tf.uint8, count, element_shape=fit.shape)
    initial = (tf.constant(0), tf.constant(0.0, tf.float64), images)
    # One after the other, since several large images may not fit into memory.
    *_, images = tf.while_loop(
        lambda index, *_: index < count, decode_next, initial, parallel_iterations=1
    )
    return tf.ensure_shape(images.stack(), [None, *fit.shape])


def too_many_pixels_message(error: Exception) -> str:
    """Return the message of `decode` about too many pixels; "" for another error."""
    match = re.search(rf"\d+ x \d+{re.escape(TOO_MANY_PIXELS)}", str(error))
    return match[0] if match else ""


def _checked_decode(encoded: Any, size: ImageSize, *, upright: bool) -> Any:
    sides = tf.strings.as_string(list(size))
    message = tf.strings.join(["Received ", sides[0], " x ", sides[1], TOO_MANY_PIXELS])
    # In a graph these are operations; in eager mode they raise at once.
    checks = [
        tf.debugging.Assert(size.pixels > 0, [NOT_AN_IMAGE]),
        tf.debugging.Assert(size.pixels <= MAX_PIXELS, [message]),
    ]
    with tf.control_dependencies(checks):
        pixels = tf.io.decode_image(tf.identity(encoded), expand_animations=False)
    header = _header(encoded)
    format_index = _format_index(header)
    if upright:
        names = [known.name for known in formats.SUPPORTED]
        pixels = turned(pixels, exif_orientation(encoded, format_index, names))
    is_bmp = tf.equal(format_index, formats.SUPPORTED.index(formats.BMP))
    depth = tf.where(is_bmp, tf.cast(header[formats.BMP_BITS], "int32"), 0)
    return tf.switch_case(
        tf.where(tf.equal(depth, 8), 0, tf.where(tf.equal(depth, 32), 1, 2)),
        [
            lambda: _bmp_with_palette(encoded, pixels),
            lambda: _bmp_with_alpha(encoded, pixels),
            lambda: pixels,
        ],
    )


def _bmp_with_alpha(encoded: Any, pixels: Any) -> Any:
    """Return the colours of a BMP with 32 bits per pixel, and alpha only if its header has a mask.

    In other files these 8 bits are padding, usually 0: TensorFlow would make all transparent.
    """
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=BMP_HEADER_BYTES)
    has_masks = tf.equal(head[30], 3) & (head[14] >= 56)
    masked = has_masks & tf.reduce_any(head[66:70] > 0)
    return tf.cond(masked, lambda: pixels, lambda: pixels[..., :3])


def _bmp_with_palette(encoded: Any, pixels: Any) -> Any:
    """Return the colours of a BMP with a palette, whose indices TensorFlow returns as grey."""
    data = tf.cast(tf.pad(tf.io.decode_raw(encoded, tf.uint8), [[0, 1024]]), tf.int32)
    size = tf.reduce_sum(data[14:18] * [1, 2**8, 2**16, 2**24])
    start = 14 + tf.clip_by_value(size, 0, tf.size(data) - 1038)
    blue_green_red = tf.cast(tf.reshape(data[start : start + 1024], [256, 4])[:, :3], tf.uint8)
    indices = tf.cast(pixels[..., 0], tf.int32)
    return tf.gather(blue_green_red[:, ::-1], indices)


def _header(encoded: Any) -> Any:
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8, fixed_length=formats.HEADER_BYTES), "int64")


def image_size(encoded: Any) -> ImageSize:
    """Return the size of the image in a file, from its header; 0 for unsupported files."""
    header = _header(encoded)

    def number(position: int, length: int, *, step: int = 1) -> Any:
        parts = header[position : position + length][::step]
        return tf.reduce_sum(parts * tf.constant([256**k for k in range(length)], "int64"))

    def jpeg() -> list[Any]:
        return tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], "int64"))

    def gif() -> list[Any]:
        screen, frames = [number(8, 2), number(6, 2)], _gif_function()(encoded)
        return [tf.maximum(screen[0], frames[0]), tf.maximum(screen[1], frames[1])]

    def bmp() -> list[Any]:
        # Run-length encoding is not supported. A negative height means rows from top to bottom.
        packed = number(30, 2)
        plain = tf.equal(packed, 0) | (tf.equal(packed, 3) & _has_standard_masks(encoded))
        plain = tf.cast(plain, "int64")
        return [plain * _unsigned(number(position, 4)) for position in (22, 18)]

    def extended_webp() -> list[Any]:
        # Animated files are not supported, see `formats`.
        animated = header[formats.WEBP_FLAGS] // formats.WEBP_ANIMATION_FLAG % 2
        return [(1 - animated) * (number(27, 3) + 1), (1 - animated) * (number(24, 3) + 1)]

    zeros = [tf.constant(0, "int64")] * 2
    size_readers = {
        formats.PNG: lambda: [number(20, 4, step=-1), number(16, 4, step=-1)],
        formats.JPEG: jpeg,
        formats.GIF: gif,
        formats.BMP: bmp,
        # Sides have 14 bits; the other two kinds store the side minus one.
        formats.WEBP_LOSSY: lambda: [number(28, 2) % 2**14, number(26, 2) % 2**14],
        formats.WEBP_LOSSLESS: lambda: [
            number(21, 4) // 2**14 % 2**14 + 1,
            number(21, 4) % 2**14 + 1,
        ],
        formats.WEBP_EXTENDED: extended_webp,
    }
    readers = [size_readers[format] for format in formats.SUPPORTED]
    # One operation with eight branches: conditions within conditions take seconds to optimise.
    return ImageSize(*tf.switch_case(_format_index(header), [*readers, lambda: zeros]))


def _has_standard_masks(encoded: Any) -> Any:
    """Whether the colour masks of a BMP are those that the decoder assumes: blue, green, red."""
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=BMP_HEADER_BYTES)
    return tf.reduce_all(tf.equal(head[54:66], [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]))


def _format_index(header: Any) -> Any:
    """Return the index of a header's format in `formats.SUPPORTED`, or its length for others.

    It is `Signature.matches` as a graph.
    """
    # Expected bytes [format, position]; -1 for any byte.
    expected = np.full((len(formats.SUPPORTED), formats.HEADER_BYTES), -1)
    for row, signature in enumerate(formats.SUPPORTED):
        for position, magic in signature.signatures:
            expected[row, position : position + len(magic)] = list(magic)
    matches = tf.reduce_all(tf.equal(header, expected) | (expected < 0), axis=1)
    return tf.argmax(tf.concat([matches, [True]], 0), output_type=tf.int32)


def _unsigned(number: Any) -> Any:
    """Return the absolute value of a signed 32-bit number."""
    return tf.minimum(number, 2**32 - number)


@functools.cache
def _gif_function() -> Any:
    # Not a decorator: `predict` imports this module and calls no TensorFlow of its own.
    spec = tf.TensorSpec([], tf.string)
    return tf.function(_gif_frames_size, input_signature=[spec], autograph=False)


def _gif_frames_size(encoded: Any) -> tuple[Any, Any]:
    """Return the total height and largest width of the frames of a GIF.

    The header may give a small screen although a frame is huge. A file consists of a header, a
    colour table, and blocks: extensions (0x21) and images (0x2C), each followed by a chain of
    parts that begin with their length; a 0 ends the chain.
    """
    tail = 13  # padding, so that a truncated file is not read beyond its end
    data = tf.cast(tf.pad(tf.io.decode_raw(encoded, tf.uint8), [[0, tail]]), tf.int32)
    end = tf.size(data) - tail

    def length(position: Any) -> Any:
        return tf.cast(data[position] + 256 * data[position + 1], tf.int64)

    def colours(position: Any) -> Any:
        """Return the size of a colour table in bytes, from its flags byte."""
        flags = data[position]
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def chain(position: Any, budget: Any) -> tuple[Any, Any]:
        """Return the position after a chain of parts, and how many more parts may be counted."""
        position, budget = tf.while_loop(
            lambda position, budget: (data[position] > 0) & (budget > 0),
            lambda position, budget: (tf.minimum(position + 1 + data[position], end), budget - 1),
            (tf.minimum(position, end), budget),
        )
        return position + 1, budget - 4  # counting a block takes as long as four parts

    def block(position: Any, budget: Any, height: Any, width: Any) -> tuple[Any, ...]:
        image, extension = tf.equal(data[position], 0x2C), tf.equal(data[position], 0x21)
        after, budget = chain(position + tf.where(image, 11 + colours(position + 9), 2), budget)
        height += tf.where(image, length(position + 7), 0)
        width = tf.maximum(width, tf.where(image, length(position + 5), 0))
        return tf.where(image | extension, after, end), budget, height, width

    zero = tf.constant(0, tf.int64)
    _, budget, height, width = tf.while_loop(
        lambda position, budget, *_: (position < end) & (budget > 0),
        block,
        (13 + colours(10), tf.constant(MAX_GIF_PARTS), zero, zero),
    )
    # A file that was not counted to its end gets the largest size.
    return tf.where(budget > 0, height, MAX_GIF_SIDE), tf.where(budget > 0, width, MAX_GIF_SIDE)
