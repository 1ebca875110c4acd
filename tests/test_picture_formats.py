"""Image formats are recognised by content; images with too many pixels are refused."""

import io
import re
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.images.decoding import (
    MAX_GIF_PARTS,
    decode,
    decode_all,
    image_size,
    too_many_pixels_message,
)
from pipelines.images.formats import format_name, is_supported
from pipelines.images.photos import FitPhoto
from pipelines.images.pixelwise import recoloured
from pipelines.images.preprocessing import FitImage


def with_size(content, place, layout, *size):
    """Return an image whose header has another size."""
    held = bytearray(content)
    struct.pack_into(layout, held, place, *size)
    return bytes(held)


def saved(kind):
    place = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(place, kind)
    return place.getvalue()


def jpeg_bomb():
    held = saved("JPEG")
    place = held.index(b"\xff\xc0") + 5
    return held[:place] + struct.pack(">HH", 60000, 60000) + held[place + 4 :]


def animation(frames, side=8):
    """Return a GIF with different frames of one size."""
    place, draw = io.BytesIO(), np.random.default_rng(0)
    images = [Image.fromarray(draw.integers(0, 256, (side, side), "uint8")) for _ in range(frames)]
    images[0].save(place, "GIF", save_all=True, append_images=images[1:])
    return place.getvalue()


def gif_bomb(frames=1):
    """Return a GIF with a small screen and a huge last frame."""
    held = bytearray(animation(frames))
    place = held.rindex(b"\x2c" + struct.pack("<HHHH", 0, 0, 8, 8))
    struct.pack_into("<HH", held, place + 5, 60000, 60000)
    return bytes(held)


def endless_gif():
    """Return a GIF with very many blocks."""
    return animation(1)[:-1] + b"\x21\xfe" + b"\x01x" * (MAX_GIF_PARTS)


def webp(kind):
    """Return a WebP image of a kind, 8 x 8."""
    place, noise = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (8, 8, 4), "uint8")
    image = Image.fromarray(noise)
    options = {
        "lossy": {},
        "lossless": {"lossless": True},
        "extended": {"lossless": True, "exif": b"Exif\0\0 a garden"},
        "moving": {"save_all": True, "append_images": [Image.fromarray(255 - noise)]},
        "opaque, moving": {
            "save_all": True,
            "append_images": [Image.fromarray(255 - noise[..., :3])],
        },
    }
    opaque = kind in ("lossy", "lossless", "opaque, moving")
    (image.convert("RGB") if opaque else image).save(place, "WEBP", **options[kind])
    return place.getvalue()


def webp_without_chunk():
    """Return lossy WebP data without a chunk, which libwebp also reads."""
    held = webp("lossy")
    return with_size(held[:12] + held[20:], 18, "<HH", 9000, 9000)


BOMBS = {
    "WebP": lambda: with_size(webp("lossy"), 26, "<HH", 9000, 9000),
    "WebP, lossless": lambda: with_size(webp("lossless"), 21, "<I", 9000 << 14 | 9000),
    "WebP, extended": lambda: with_size(webp("extended"), 24, "<HBHB", 9000, 0, 9000, 0),
    "WebP of a stranger": lambda: bytes.fromhex(
        "524946461c000000574542505650384c0f0000002fdfeeb70b0710458efe0722a2ff0100"
    ),
    "PNG": lambda: with_size(saved("PNG"), 16, ">II", 9000, 9000),
    "PNG, beyond 64 bits": lambda: with_size(saved("PNG"), 16, ">II", 2**32 - 1, 2**32 - 1),
    "JPEG": jpeg_bomb,
    "GIF": lambda: with_size(saved("GIF"), 6, "<HH", 60000, 60000),
    "GIF, its frame": gif_bomb,
    "GIF, its last frame": lambda: gif_bomb(3),
    "GIF, endless": endless_gif,
    "BMP": lambda: with_size(saved("BMP"), 18, "<ii", 9000, 9000),
    "BMP from the top": lambda: with_size(saved("BMP"), 18, "<ii", 9000, -9000),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("way", [decode, tf.function(decode, autograph=False)], ids=["", "graph"])
def test_an_image_with_too_many_pixels_is_refused_before_decoding(way, bomb):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        way(tf.constant(BOMBS[bomb]()))
    assert re.fullmatch(
        r"\d+ x \d+ pixels; expected at most 67108864", too_many_pixels_message(raised.value)
    )


@pytest.mark.parametrize("kind", ["lossy", "lossless", "extended"])
def test_size_and_pixels_of_every_kind_of_webp_are_read(kind):
    size = image_size(webp(kind))
    assert (int(size.height), int(size.width)) == (8, 8)
    assert decode(webp(kind)).shape[:2] == (8, 8)
    assert format_name(webp(kind)) == "WebP"


UNREAD = {
    "TIFF": lambda: saved("TIFF"),
    "JPEG 2000": lambda: saved("JPEG2000"),
    "JPEG XL": lambda: b"\xff\x0a" + bytes(40),
    "JPEG XL, boxed": lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40),
    "AVIF": lambda: b"\0\0\0\x20ftypavif" + bytes(40),
    "HEIC": lambda: b"\0\0\0\x20ftypheic" + bytes(40),
    "WebP of an unknown kind": webp_without_chunk,
    "animated WebP": lambda: webp("moving"),
    "animated WebP, opaque": lambda: webp("opaque, moving"),  # the decoder would abort the process
    "": lambda: b"\0\0\0\x20" + bytes(40),
}


@pytest.mark.parametrize("name", UNREAD)
@pytest.mark.parametrize("way", [decode, tf.function(decode, autograph=False)], ids=["", "graph"])
def test_a_format_of_unknown_size_is_refused_before_decoding(way, name):
    content = UNREAD[name]()
    assert format_name(content) == name.split(",")[0] and not is_supported(content)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected PNG, JPEG, GIF, BMP or W"):
        way(tf.constant(content))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_an_image_format_is_detected_by_content(name):
    content = saved(name)
    assert is_supported(content) and format_name(content).upper() == name


WRITTEN = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB"),
    "BMP": ("L", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}


@pytest.mark.parametrize(
    ("kind", "mode"), [(kind, mode) for kind, modes in WRITTEN.items() for mode in modes]
)
def test_every_colour_mode_is_read_as_by_pillow(kind, mode):
    across, down = np.meshgrid(np.arange(40), np.arange(30))
    picture = np.stack([across * 6, down * 8, 255 - across * 3], -1).astype("uint8")
    image = Image.fromarray(picture)
    if mode == "I;16":
        image = Image.fromarray((across * 1500).astype("uint16"))
    else:
        image = image.convert(mode)
    place = io.BytesIO()
    options = {"quality": 100} if kind in ("JPEG", "WEBP") else {}
    image.save(place, kind, **options)
    read = recoloured(decode(place.getvalue()), 3).numpy()
    assert read.shape == (30, 40, 3)
    if mode == "I;16":
        expected = np.repeat((across * 1500 >> 8)[..., None], 3, -1)
    else:
        expected = np.asarray(Image.open(place).convert("RGB"), "float32")
    assert np.abs(read - expected).mean() < 3


def bmp_of_32_bits(masks, header=40, packed=3):
    """Return a BMP of 8 x 8 pixels with the bytes 16, 32, 48, 0."""
    start = 14 + header
    told = struct.pack("<IiiHHIIiiII", header, 8, 8, 1, 32, packed, 256, 0, 0, 0, 0)
    told += masks.ljust(header - 40, b"\0")
    return struct.pack("<2sIHHI", b"BM", start + 256, 0, 0, start) + told + b"\x10\x20\x30\0" * 64


@pytest.mark.parametrize("way", [decode, tf.function(decode, autograph=False)], ids=["", "graph"])
def test_a_bmp_of_32_bits_has_alpha_only_if_its_header_says_so(way):
    """Many programs write 0 there; the image became transparent, and so white."""
    usual = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    for content in (bmp_of_32_bits(b"", packed=0), bmp_of_32_bits(usual, 108)):
        assert Image.open(io.BytesIO(content)).convert("RGB").getpixel((0, 0)) == (48, 32, 16)
        np.testing.assert_array_equal(recoloured(way(content), 3)[0, 0], [48, 32, 16])
    masked = bmp_of_32_bits(usual + struct.pack("<I", 0xFF000000), 108)
    np.testing.assert_array_equal(recoloured(way(masked), 3)[0, 0], [255, 255, 255])
    turned = bmp_of_32_bits(struct.pack("<III", 0xFF, 0xFF00, 0xFF0000), 108)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected PNG"):
        way(turned)


def test_a_run_length_encoded_bmp_is_refused():
    held = with_size(saved("BMP"), 30, "<I", 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected PNG"):
        decode(held)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_images_of_any_proportions_are_resized(kind, size):
    place = io.BytesIO()
    Image.fromarray(np.full((*size, 3), 200, "uint8")).save(place, kind)
    for fit in (
        FitPhoto((16, 16, 3)),
        FitImage((8, 8, 1), 0.0, 0.8),
        FitImage((8, 8, 3), None, 1.0),
    ):
        assert fit(decode(place.getvalue())).shape == fit.shape


def test_all_frames_of_a_gif_count():
    for side, frames in ((8, 5), (60, 1)):
        size = image_size(animation(frames, side))
        assert (int(size.height), int(size.width)) == (side * frames, side)
    assert decode(animation(3)).shape == (8, 8, 3)


@pytest.mark.thorough
def test_all_images_of_a_request_count(monkeypatch):
    monkeypatch.setattr("pipelines.images.decoding.MAX_TOTAL_PIXELS", 8 * 8 * 3)
    picture = tf.io.encode_png(np.full((8, 8, 3), 7, "uint8")).numpy()

    @tf.function(autograph=False)
    def read(files):
        return decode_all(files, FitPhoto((8, 8, 3)))

    np.testing.assert_array_equal(read(tf.constant([picture] * 3)), np.full((3, 8, 8, 3), 7))
    assert read(tf.constant([], tf.string)).shape == (0, 8, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels together"):
        read(tf.constant([picture] * 4))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"G",
        b"GIF89a",
        b"GIF89a\0\0\0\0\x87\x87\x87",
        b"B",
        b"\x89PNG",
        b"\xff\xd8\xff",
        b"words",
    ],
)
def test_other_files_are_not_called_too_large(content):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        decode(content)
    assert not too_many_pixels_message(raised.value)
