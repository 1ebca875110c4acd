"""Image files become pixels, if they hold no more than somebody may send."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from pipelines.images import formats

# A file of 65 kB can hold half a billion pixels; cameras take up to 50 million.
MOST_PIXELS = 2**26
MOST_TOGETHER = 2**28  # of the pictures of one request
TOO_MANY = f" pixels; expected at most {MOST_PIXELS}"
NO_PICTURE = f"Received no picture; expected {formats.READ_NAMES}"
TOO_MANY_TOGETHER = f"pictures of more than {MOST_TOGETHER} pixels together"
MOST_PARTS = 2**16  # of a GIF, which holds 255 bytes in one: to count them takes seconds
LONGEST = 2**16 - 1  # side of a GIF
BMP_HEAD = 70  # bytes of a BMP, up to the masks of its colours
START, SCAN = b"\xff\xd8", 0xDA
# Marks in JPEG files that have no length, and what may fill the place before one.
UNUSUAL = {0x00, 0x01, *range(0xD0, 0xDA), 0xFF}


class Size(NamedTuple):
    """Height and width of a picture, int64."""

    height: Any
    width: Any

    @property
    def pixels(self) -> Any:
        """How many there are."""
        # In floating point: two lengths of 32 bits are too much for a whole number of 64.
        return tf.cast(self.height, "float64") * tf.cast(self.width, "float64")


def decode(encoded: Any) -> Any:
    """Bytes of a format of `formats.READ` -> uint8 [height, width, 1 to 4 channels].

    Of a moving GIF the first frame. Raises tf.errors.InvalidArgumentError for other
    bytes, although TensorFlow may decode them, and for more pixels than `MOST_PIXELS`, which
    is known before they are decoded. All frames of a GIF count: they are all read for the
    first.
    """
    encoded = tf.convert_to_tensor(encoded)
    return _decoded(encoded, size_of(encoded))


def bytes_of(path: Path) -> bytes:
    """The bytes of an image file. Raises ValueError for a JPEG file cut within its header.

    The decoder would refuse it too, but not without a line of its own on standard error.
    """
    encoded = path.read_bytes()
    if encoded[:2] == START and not _has_scan(encoded):
        raise ValueError("cut within the header")
    return encoded


def content_of(path: Path) -> bytes:
    """The bytes of a picture by its content, whatever its name.

    Raises OSError, and ValueError with the reason for what is no picture that is read.
    """
    encoded = bytes_of(path)
    if not formats.is_read(encoded[: formats.HEADER]):
        other = formats.format_of(encoded[: formats.HEADER])
        raise ValueError(f"it is {other}" if other else "its content is not that of an image")
    return encoded


def _has_scan(encoded: bytes) -> bool:
    """Whether the header of a JPEG file is whole, or else is none as we know them.

    It is a chain of segments, each a mark of two bytes and its length; with the last of them
    the pixels begin.
    """
    place = len(START)
    while place + 4 <= len(encoded):
        if encoded[place] != 0xFF or encoded[place + 1] in UNUSUAL:
            return True
        last = encoded[place + 1] == SCAN
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4])
        if last:
            return place <= len(encoded)
    return False


def decode_all(files: Any, fit: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """The bytes of image files [n] -> uint8 [n, *shape], each as `fit` makes it.

    Raises tf.errors.InvalidArgumentError for what `decode` cannot read, and where there are
    more pixels than `MOST_TOGETHER`.
    """
    count = tf.shape(files)[0]

    def one(place: Any, pixels: Any, images: Any) -> tuple[Any, Any, Any]:
        size = size_of(files[place])
        pixels += tf.minimum(size.pixels, MOST_PIXELS)  # of one that has more it is said below
        few = tf.debugging.Assert(pixels <= MOST_TOGETHER, [f"Received {TOO_MANY_TOGETHER}"])
        with tf.control_dependencies([few]):
            image = fit(_decoded(files[place], size))
        return place + 1, pixels, images.write(place, image)

    images = tf.TensorArray(tf.uint8, count, element_shape=shape)
    begin = (tf.constant(0), tf.constant(0.0, tf.float64), images)
    # One after the other: several large ones would be in memory together.
    *_, images = tf.while_loop(lambda place, *_: place < count, one, begin, parallel_iterations=1)
    return tf.ensure_shape(images.stack(), [None, *shape])


def too_many(error: Exception) -> str:
    """What `decode` says of a picture with too many pixels; no word of another error."""
    found = re.search(rf"\d+ x \d+{re.escape(TOO_MANY)}", str(error))
    return found[0] if found else ""


def _decoded(encoded: Any, size: Size) -> Any:
    sides = tf.strings.as_string(list(size))
    told = tf.strings.join(["Received ", sides[0], " x ", sides[1], TOO_MANY])
    # In a graph operations; outside of one they raise at once.
    checks = [
        tf.debugging.Assert(size.pixels > 0, [NO_PICTURE]),
        tf.debugging.Assert(size.pixels <= MOST_PIXELS, [told]),
    ]
    with tf.control_dependencies(checks):
        pixels = tf.io.decode_image(tf.identity(encoded), expand_animations=False)
    header = _header(encoded)
    is_bmp, bits = _begins(header, formats.BMP), header[formats.BMP_BITS]
    return tf.case(
        [
            (is_bmp & tf.equal(bits, 8), lambda: _coloured(encoded, pixels)),
            (is_bmp & tf.equal(bits, 32), lambda: _with_known_alpha(encoded, pixels)),
        ],
        default=lambda: pixels,
    )


def _with_known_alpha(encoded: Any, pixels: Any) -> Any:
    """The colours of a BMP of 32 bits a pixel; its alpha too, if it says that it has one.

    In others these 8 bits fill up, and are 0 as a rule: TensorFlow would make all transparent.
    """
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=BMP_HEAD)
    has_masks = tf.equal(head[30], 3) & (head[14] >= 56)
    masked = has_masks & tf.reduce_any(head[66:70] > 0)
    return tf.cond(masked, lambda: pixels, lambda: pixels[..., :3])


def _coloured(encoded: Any, pixels: Any) -> Any:
    """The colours of a BMP with a palette: TensorFlow gives places in it as if they were grey."""
    data = tf.cast(tf.pad(tf.io.decode_raw(encoded, tf.uint8), [[0, 1024]]), tf.int32)
    size = tf.reduce_sum(data[14:18] * [1, 2**8, 2**16, 2**24])
    start = 14 + tf.clip_by_value(size, 0, tf.size(data) - 1038)
    blue_green_red = tf.cast(tf.reshape(data[start : start + 1024], [256, 4])[:, :3], tf.uint8)
    places = tf.cast(pixels[..., 0], tf.int32)
    return tf.gather(blue_green_red[:, ::-1], places)


def _header(encoded: Any) -> Any:
    return tf.cast(tf.io.decode_raw(encoded, tf.uint8, fixed_length=formats.HEADER), "int64")


def size_of(encoded: Any) -> Size:
    """The size of the picture in a file, as it is told there; 0 for what is not read."""
    header = _header(encoded)

    def number(place: int, length: int, *, step: int = 1) -> Any:
        parts = header[place : place + length][::step]
        return tf.reduce_sum(parts * tf.constant([256**k for k in range(length)], "int64"))

    def jpeg() -> list[Any]:
        return tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], "int64"))

    def gif() -> list[Any]:
        screen, frames = [number(8, 2), number(6, 2)], _frames(encoded)
        return [tf.maximum(screen[0], frames[0]), tf.maximum(screen[1], frames[1])]

    def bmp() -> list[Any]:
        # A run-length code is not decoded. A negative height: from top to bottom.
        packed = number(30, 2)
        plain = tf.equal(packed, 0) | (tf.equal(packed, 3) & _has_usual_masks(encoded))
        plain = tf.cast(plain, "int64")
        return [plain * _unsigned(number(place, 4)) for place in (22, 18)]

    def extended_webp() -> list[Any]:
        # What moves is not read: see `picture_formats`.
        moves = header[formats.WEBP_FLAGS] // formats.WEBP_MOVES % 2
        return [(1 - moves) * (number(27, 3) + 1), (1 - moves) * (number(24, 3) + 1)]

    zeros = [tf.constant(0, "int64")] * 2
    ways = {
        formats.PNG: lambda: [number(20, 4, step=-1), number(16, 4, step=-1)],
        formats.JPEG: jpeg,
        formats.GIF: gif,
        formats.BMP: bmp,
        # Sides of 14 bits; those of the other two kinds are one less than they are.
        formats.WEBP_LOSSY: lambda: [number(28, 2) % 2**14, number(26, 2) % 2**14],
        formats.WEBP_LOSSLESS: lambda: [
            number(21, 4) // 2**14 % 2**14 + 1,
            number(21, 4) % 2**14 + 1,
        ],
        formats.WEBP_EXTENDED: extended_webp,
    }
    known = [(_begins(header, one), way) for one, way in ways.items()]
    return Size(*tf.case(known, default=lambda: zeros))


def _has_usual_masks(encoded: Any) -> Any:
    """Whether the bits of a BMP's pixels lie as the decoder takes them: blue, green, red."""
    head = tf.io.decode_raw(encoded, tf.uint8, fixed_length=BMP_HEAD)
    return tf.reduce_all(tf.equal(head[54:66], [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]))


def _begins(header: Any, signature: formats.Signature) -> Any:
    """Whether these bytes are those of a format, as `Signature.matches` outside of a graph."""
    same = [
        tf.reduce_all(tf.equal(header[place : place + len(mark)], list(mark)))
        for place, mark in signature.marks
    ]
    return tf.reduce_all(tf.stack(same))


def _unsigned(number: Any) -> Any:
    """The size of a signed number of 32 bits."""
    return tf.minimum(number, 2**32 - number)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _frames(encoded: Any) -> tuple[Any, Any]:
    """Height and width of the frames of a GIF, one below the other.

    The screen that the header tells of may be small and a frame huge. A file is a
    header, a table of colours, and blocks: extensions (0x21) and images (0x2C), each
    followed by a chain of parts that begin with their length and end with a 0.
    """
    tail = 13  # so that what is cut off may be looked for
    data = tf.cast(tf.pad(tf.io.decode_raw(encoded, tf.uint8), [[0, tail]]), tf.int32)
    end = tf.size(data) - tail

    def length(place: Any) -> Any:
        return tf.cast(data[place] + 256 * data[place + 1], tf.int64)

    def colours(place: Any) -> Any:
        """The bytes of a table of colours, from the byte that tells of it."""
        told = data[place]
        return tf.where(told >= 128, 3 * tf.bitwise.left_shift(2, told % 8), 0)

    def chain(place: Any, left: Any) -> tuple[Any, Any]:
        """Behind the parts that begin there, and how many more may be counted."""
        place, left = tf.while_loop(
            lambda place, left: (data[place] > 0) & (left > 0),
            lambda place, left: (tf.minimum(place + 1 + data[place], end), left - 1),
            (tf.minimum(place, end), left),
        )
        return place + 1, left - 4  # a block takes as long as some parts

    def block(place: Any, left: Any, height: Any, width: Any) -> tuple[Any, ...]:
        image, extension = tf.equal(data[place], 0x2C), tf.equal(data[place], 0x21)
        after, left = chain(place + tf.where(image, 11 + colours(place + 9), 2), left)
        height += tf.where(image, length(place + 7), 0)
        width = tf.maximum(width, tf.where(image, length(place + 5), 0))
        return tf.where(image | extension, after, end), left, height, width

    zero = tf.constant(0, tf.int64)
    _, left, height, width = tf.while_loop(
        lambda place, left, *_: (place < end) & (left > 0),
        block,
        (13 + colours(10), tf.constant(MOST_PARTS), zero, zero),
    )
    # What was not counted to its end is as large as can be.
    return tf.where(left > 0, height, LONGEST), tf.where(left > 0, width, LONGEST)
