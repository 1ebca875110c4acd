"""What a picture is, by its content: the formats of image files and the bytes they begin with.

Training, check-data, predict and the server all ask here, so that a file is a picture in all of
them or in none, whatever its name ends with.
"""

from typing import NamedTuple

HEADER = 32  # bytes that tell the format; the size too, but for JPEG and the frames of a GIF


class Signature(NamedTuple):
    """The bytes by which a format is known, each with its place in the file."""

    name: str
    marks: tuple[tuple[int, bytes], ...]

    def matches(self, content: bytes) -> bool:
        """Whether a file that begins so has this format."""
        return all(content[place : place + len(mark)] == mark for place, mark in self.marks)


def _webp(chunk: bytes) -> Signature:
    return Signature("WebP", ((0, b"RIFF"), (8, b"WEBP"), (12, chunk)))


WEBP_LOSSY, WEBP_LOSSLESS, WEBP_EXTENDED = map(_webp, (b"VP8 ", b"VP8L", b"VP8X"))
PNG = Signature("PNG", ((0, b"\x89PNG\r\n\x1a\n"),))
JPEG = Signature("JPEG", ((0, b"\xff\xd8\xff"),))
GIF = Signature("GIF", ((0, b"GIF8"),))
BMP = Signature("BMP", ((0, b"BM"),))
# TensorFlow decodes JPEG XL too, whose size cannot be known without decoding a part of it.
READ = (PNG, JPEG, GIF, BMP, WEBP_LOSSY, WEBP_LOSSLESS, WEBP_EXTENDED)
READ_NAMES = "PNG, JPEG, GIF, BMP or WebP"
WEBP_FLAGS, WEBP_MOVES = 20, 0x02  # the place of the flags of an extended WebP, and one of them
MOVING_WEBP = "moving WebP"
BMP_BITS = 28  # the place of the bits of a pixel

_CONTAINERS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
}
NOT_READ = (
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
NOT_READ_NAMES = {one.name for one in NOT_READ} | {MOVING_WEBP}


def format_of(content: bytes) -> str:
    """The name of the format that a file's first `HEADER` bytes tell; "" for no picture.

    `is_read` tells whether athanor reads it.
    """
    if _moves(content):
        return MOVING_WEBP
    return next((one.name for one in READ + NOT_READ if one.matches(content)), "")


def is_read(content: bytes) -> bool:
    """Whether a file that begins so is a picture that athanor reads."""
    return not _moves(content) and any(one.matches(content) for one in READ)


def _moves(content: bytes) -> bool:
    """Whether it is a WebP of several frames.

    TensorFlow 2.21 writes four channels of each frame into the memory of three where the
    frames are opaque: it damages its own memory, and the process aborts.
    """
    flags = content[WEBP_FLAGS : WEBP_FLAGS + 1]
    return WEBP_EXTENDED.matches(content) and any(flag & WEBP_MOVES for flag in flags)
