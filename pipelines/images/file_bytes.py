"""Read the bytes of image files, in a format that `decoding.decode` takes."""

from pathlib import Path

from pipelines.images import conversion, formats
from pipelines.images.decoding import MAX_PIXELS

JPEG_START, JPEG_SCAN = b"\xff\xd8", 0xDA
# Markers in JPEG files without a length, and the fill byte before a marker.
JPEG_MARKERS_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xDA), 0xFF}


def read_image_bytes(path: Path) -> bytes:
    """Read the bytes of an image file; those of formats that `decode` lacks become PNG.

    Raises ValueError if they cannot be converted, and for a JPEG file cut within its header: the
    decoder would refuse it too, but would also write a message to standard error.
    """
    encoded = path.read_bytes()
    if conversion.is_converted(encoded[: formats.HEADER_BYTES]):
        return conversion.as_png(encoded, MAX_PIXELS)
    if encoded[:2] == JPEG_START and not _jpeg_header_is_complete(encoded):
        raise ValueError("cut within the header")
    return encoded


def read_image_content(path: Path) -> bytes:
    """Read the bytes of an image file of a readable format, whatever its name.

    Raises OSError, and ValueError with the reason if it is not a supported image.
    """
    encoded = read_image_bytes(path)
    if not formats.is_supported(encoded[: formats.HEADER_BYTES]):
        other = formats.format_name(encoded[: formats.HEADER_BYTES])
        raise ValueError(f"it is {other}" if other else "its content is not that of an image")
    return encoded


def _jpeg_header_is_complete(encoded: bytes) -> bool:
    """Whether the header of a JPEG file is complete, or has an unknown structure.

    It is a sequence of segments, each with a marker of two bytes and a length. The pixels follow
    the last segment.
    """
    position = len(JPEG_START)
    while position + 4 <= len(encoded):
        if encoded[position] != 0xFF or encoded[position + 1] in JPEG_MARKERS_WITHOUT_LENGTH:
            return True
        is_last = encoded[position + 1] == JPEG_SCAN
        position += 2 + int.from_bytes(encoded[position + 2 : position + 4])
        if is_last:
            return position <= len(encoded)
    return False
