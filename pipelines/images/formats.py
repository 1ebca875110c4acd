"""Recognise image formats by the first bytes of a file.

Training, check-data, predict and the server all use this module, so that they accept the same
files, whatever the suffix.
"""

from typing import NamedTuple

HEADER_BYTES = 32  # enough for the format, and for the size except in JPEG and GIF files


class Signature(NamedTuple):
    """A format and its magic bytes, each with their position in the file."""

    name: str
    signatures: tuple[tuple[int, bytes], ...]

    def matches(self, content: bytes) -> bool:
        """Whether a file with these first bytes has this format."""
        return all(
            content[position : position + len(magic)] == magic
            for position, magic in self.signatures
        )


def _webp(chunk: bytes) -> Signature:
    return Signature("WebP", ((0, b"RIFF"), (8, b"WEBP"), (12, chunk)))


WEBP_LOSSY, WEBP_LOSSLESS, WEBP_EXTENDED = map(_webp, (b"VP8 ", b"VP8L", b"VP8X"))
PNG = Signature("PNG", ((0, b"\x89PNG\r\n\x1a\n"),))
JPEG = Signature("JPEG", ((0, b"\xff\xd8\xff"),))
GIF = Signature("GIF", ((0, b"GIF8"),))
BMP = Signature("BMP", ((0, b"BM"),))
# TensorFlow also decodes JPEG XL, but its size is unknown before a part of it is decoded.
SUPPORTED = (PNG, JPEG, GIF, BMP, WEBP_LOSSY, WEBP_LOSSLESS, WEBP_EXTENDED)
SUPPORTED_NAMES = "PNG, JPEG, GIF, BMP or WebP"
WEBP_FLAGS = 20  # position of the flags of an extended WebP
WEBP_ANIMATION_FLAG = 0x02
ANIMATED_WEBP = "animated WebP"
BMP_BITS = 28  # position of the number of bits of a pixel

_CONTAINERS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
}
UNSUPPORTED = (
    Signature("TIFF", ((0, b"II*\0"),)),
    Signature("TIFF", ((0, b"MM\0*"),)),
    Signature("JPEG XL", ((0, b"\xff\x0a"),)),
    Signature("JPEG XL", ((4, b"JXL \r\n\x87\n"),)),
    Signature("JPEG 2000", ((4, b"jP  \r\n\x87\n"),)),
    Signature("JPEG 2000", ((0, b"\xff\x4f\xff\x51"),)),
    Signature("ICO", ((0, b"\0\0\1\0"),)),
    *(Signature("Netpbm", ((0, b"P%d\n" % kind),)) for kind in range(1, 7)),
    Signature("Photoshop", ((0, b"8BPS"),)),
    Signature("WebP of an unknown kind", ((0, b"RIFF"), (8, b"WEBP"))),
    *(
        Signature(name, ((4, b"ftyp" + brand),))
        for name, brands in _CONTAINERS.items()
        for brand in brands
    ),
)
UNSUPPORTED_NAMES = {one.name for one in UNSUPPORTED} | {ANIMATED_WEBP}


def format_name(content: bytes) -> str:
    """Return the format name of a file by its first `HEADER_BYTES`; "" if it is not an image.

    `is_supported` says whether athanor reads it.
    """
    if _is_animated_webp(content):
        return ANIMATED_WEBP
    return next((known.name for known in SUPPORTED + UNSUPPORTED if known.matches(content)), "")


def is_supported(content: bytes) -> bool:
    """Whether a file with these first bytes is an image that athanor reads."""
    return not _is_animated_webp(content) and any(known.matches(content) for known in SUPPORTED)


def _is_animated_webp(content: bytes) -> bool:
    """Whether a file is an animated WebP.

    TensorFlow 2.21 writes four channels of each opaque frame into memory for three: it corrupts
    its memory and the process aborts.
    """
    flags = content[WEBP_FLAGS : WEBP_FLAGS + 1]
    return WEBP_EXTENDED.matches(content) and any(flag & WEBP_ANIMATION_FLAG for flag in flags)
