"""Turn photographs upright by the orientation that a camera stores in the file (EXIF).

Only the bytes of the headers are read, inside a TensorFlow graph or outside. JPEG, PNG and WebP
files may hold an orientation; tag 0x0112 of the first directory of a TIFF structure.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

UPRIGHT = 1  # the orientation of files without one
ORIENTATION_TAG = 0x0112
MAX_TAGS, TAG_BYTES = 64, 12
MAX_SEGMENTS = 64  # of a file, in which the orientation is searched
JPEG_START, JPEG_APP1, JPEG_SCAN = 2, 0xE1, 0xDA
PNG_START, PNG_CHUNK_EXTRA, WEBP_START = 8, 12, 12
EXIF_NAME = b"Exif\0\0"

Step = Callable[[Any], tuple[Any, Any]]


def exif_orientation(encoded: Any, format_index: Any, names: Sequence[str]) -> Any:
    """Return the orientation of a file, int32 from 1 to 8; 1 if it has none that can be read.

    Args:
        encoded: bytes of the file.
        format_index: index of its format in `names`.
        names: of the supported formats.

    """
    finders = {"PNG": _png_segment, "JPEG": _jpeg_segment, "WebP": _webp_segment}

    def of_format(name: str) -> Callable[[], Any]:
        if name not in finders:
            return lambda: tf.constant(UPRIGHT)
        start, segment = finders[name](encoded)
        return lambda: _orientation_at(encoded, _find(encoded, start, segment))

    return tf.switch_case(format_index, [of_format(name) for name in (*names, "")])


def turned(pixels: Any, orientation: Any) -> Any:
    """Turn and mirror [height, width, channels] upright."""
    pixels = tf.cond(orientation >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        is_mirrored = tf.reduce_any(tf.equal(orientation, mirrored))
        pixels = tf.cond(
            is_mirrored, lambda p=pixels, a=axis: tf.reverse(p, [a]), lambda p=pixels: p
        )
    return pixels


def _find(encoded: Any, start: int, segment: Step) -> Any:
    """Return the position of the TIFF structure; 0 if there is none.

    `segment` maps a position to that of a TIFF structure in this segment, or 0, and to the next
    position, or 0 after the last segment.
    """

    def step(position: Any, found: Any, budget: Any) -> tuple[Any, Any, Any]:
        found, following = segment(position)
        following = tf.where(following < tf.strings.length(encoded), following, 0)
        return following, found, budget - 1

    _, found, _ = tf.while_loop(
        lambda position, found, budget: (position > 0) & tf.equal(found, 0) & (budget > 0),
        step,
        (tf.constant(start), tf.constant(0), tf.constant(MAX_SEGMENTS)),
    )
    return found


def _bytes_at(encoded: Any, position: Any, length: int) -> Any:
    """Return bytes as int32 [length], 0 after the end of the file."""
    position = tf.clip_by_value(position, 0, tf.strings.length(encoded))
    part = tf.strings.substr(encoded, position, length)
    return tf.cast(tf.io.decode_raw(part, tf.uint8, fixed_length=length), tf.int32)


def _number(parts: Any, *, is_little_endian: Any = False) -> Any:
    """Return an unsigned number of 2 or 4 bytes, at most 2^30, from int32 [..., bytes]."""
    parts = tf.where(is_little_endian, parts[..., ::-1], parts)
    length = parts.shape[-1]
    value = tf.zeros_like(parts[..., 0])
    for place in range(length):
        value = tf.minimum(value, 2**22) * 256 + parts[..., place]
    return tf.minimum(value, 2**30)


def _equals(parts: Any, text: bytes) -> Any:
    return tf.reduce_all(tf.equal(parts, list(text)))


def _jpeg_segment(encoded: Any) -> tuple[int, Step]:
    def segment(position: Any) -> tuple[Any, Any]:
        head = _bytes_at(encoded, position, 4 + len(EXIF_NAME))
        is_exif = tf.equal(head[1], JPEG_APP1) & _equals(head[4:], EXIF_NAME)
        is_last = tf.not_equal(head[0], 0xFF) | tf.equal(head[1], JPEG_SCAN)
        following = position + 2 + tf.maximum(_number(head[2:4]), 2)
        found = tf.where(is_exif & ~is_last, position + 4 + len(EXIF_NAME), 0)
        return found, tf.where(is_last, 0, following)

    return JPEG_START, segment


def _png_segment(encoded: Any) -> tuple[int, Step]:
    def segment(position: Any) -> tuple[Any, Any]:
        head = _bytes_at(encoded, position, 8)
        is_last = _equals(head[4:], b"IDAT") | _equals(head[4:], b"IEND")
        found = tf.where(_equals(head[4:], b"eXIf"), position + 8, 0)
        following = position + PNG_CHUNK_EXTRA + _number(head[:4])
        return found, tf.where(is_last, 0, following)

    return PNG_START, segment


def _webp_segment(encoded: Any) -> tuple[int, Step]:
    def segment(position: Any) -> tuple[Any, Any]:
        head = _bytes_at(encoded, position, 8 + len(EXIF_NAME))
        # Some programs write the name of JPEG files before the structure.
        start = position + 8 + tf.where(_equals(head[8:], EXIF_NAME), len(EXIF_NAME), 0)
        size = _number(head[4:8], is_little_endian=True)
        found = tf.where(_equals(head[:4], b"EXIF"), start, 0)
        return found, position + 8 + size + size % 2

    return WEBP_START, segment


def _orientation_at(encoded: Any, start: Any) -> Any:
    """Return the orientation in the TIFF structure at a position; 1 if the position is 0."""
    head = _bytes_at(encoded, start, 8)
    is_little = _equals(head[:2], b"II")
    is_tiff = (start > 0) & (is_little | _equals(head[:2], b"MM"))
    directory = start + _number(head[4:], is_little_endian=is_little)
    count = _number(_bytes_at(encoded, directory, 2), is_little_endian=is_little)
    tags = _bytes_at(encoded, directory + 2, MAX_TAGS * TAG_BYTES)
    tags = tf.reshape(tags, [MAX_TAGS, TAG_BYTES])
    is_wanted = tf.equal(_number(tags[:, :2], is_little_endian=is_little), ORIENTATION_TAG)
    is_wanted &= tf.range(MAX_TAGS) < count
    values = _number(tags[:, 8:10], is_little_endian=is_little)
    value = tf.reduce_max(tf.where(is_wanted, values, 0))
    return tf.where(is_tiff & (value >= 1) & (value <= 8), value, UPRIGHT)
