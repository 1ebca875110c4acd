"""Convert images of formats that TensorFlow does not read to PNG, by Pillow."""

import functools
import importlib.util
import io
import warnings
from typing import Any

import numpy as np

from pipelines.images import formats
from pipelines.images.orientation import ORIENTATION_TAG, UPRIGHT

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
FAST_COMPRESSION = 1  # the file is decoded at once


class TooLargeError(ValueError):
    """An image with too many pixels."""


@functools.cache
def converted_formats() -> frozenset[str]:
    """Return the names of the formats that can be converted: HEIC needs the extra heic."""
    has_heic = importlib.util.find_spec("pillow_heif") is not None
    return frozenset({"TIFF", "AVIF", *(["HEIC"] if has_heic else [])})


def is_converted(header: bytes) -> bool:
    """Whether a file with these first bytes must be converted, and can be."""
    return not formats.is_supported(header) and formats.format_name(header) in converted_formats()


def is_readable(header: bytes) -> bool:
    """Whether a file with these first bytes is an image that athanor reads."""
    return formats.is_supported(header) or is_converted(header)


def readable_names() -> str:
    """Return the names of all formats that are read, for a message."""
    *names, last = [
        *formats.SUPPORTED_NAMES.replace(" or ", ", ").split(", "),
        *sorted(converted_formats()),
    ]
    return f"{', '.join(names)} or {last}"


def as_png(encoded: bytes, max_pixels: int) -> bytes:
    """Return an image as PNG, with its orientation; of several pages only the first.

    Raises TooLargeError before decoding more than `max_pixels`; ValueError if it is damaged, or if
    its levels have more than 16 bits.
    """
    from PIL import Image

    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged tags
            with Image.open(io.BytesIO(encoded)) as image:
                if image.width * image.height > max_pixels:
                    raise TooLargeError(f"it has {image.width} x {image.height} pixels")
                return _written(image)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, TooLargeError):
            raise
        raise ValueError(f"it is damaged ({error})") from error


def _written(image: Any) -> bytes:
    from PIL import Image

    image.load()  # it turns TIFF files upright
    exif, place = Image.Exif(), io.BytesIO()
    exif[ORIENTATION_TAG] = image.getexif().get(ORIENTATION_TAG, UPRIGHT)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype("uint16") >> 8).astype("uint8"))
    elif image.mode in ("I", "F"):
        raise ValueError("levels of 32 bits")
    elif image.mode not in PNG_MODES:
        image = image.convert("RGB")
    image.save(place, "PNG", exif=exif, compress_level=FAST_COMPRESSION)
    return place.getvalue()
