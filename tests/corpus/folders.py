"""Folders of images that cannot be trained on, and a part of the error message."""

import struct
import zlib
from pathlib import Path

import numpy as np


def png(side: int = 12, shade: int = 0) -> bytes:
    """Return a valid image."""
    import tensorflow as tf

    return tf.io.encode_png(np.full((side, side, 1), shade, "uint8")).numpy()


def png_of(width: int, height: int) -> bytes:
    """Return an image whose header names a size that its few bytes do not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def files(root: Path, contents: dict[str, bytes]) -> None:
    """Write files in folders."""
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def many(root: Path, content: bytes, name: str = "a.png") -> None:
    """Write the same bytes as every image of two classes."""
    files(root, {f"{label}/{k}{name}": content for label in "xy" for k in range(4)})


def linked(root: Path) -> None:
    """Write folders that link to each other."""
    for name in ("x", "y"):
        (root / name).mkdir(parents=True)
        (root / name / "again").symlink_to(root.resolve(), target_is_directory=True)


def dangling(root: Path) -> None:
    """Write images that are dangling links."""
    for name in ("x", "y"):
        (root / name).mkdir(parents=True)
        (root / name / "a.png").symlink_to("nowhere.png")


def directories(root: Path) -> None:
    """Write folders with names of images."""
    for name in ("x", "y"):
        (root / name / "a.png").mkdir(parents=True)


# By name: what writes the folder `bad`, and what has to be named.
FOLDERS = {
    "empty": (lambda root: root.mkdir(), "no folders of pictures"),
    "a file": (lambda root: root.write_bytes(b""), "not a readable directory"),
    "a link to nowhere": (lambda root: root.symlink_to("nowhere"), "not a readable directory"),
    "a link to itself": (lambda root: root.symlink_to("bad"), "not a readable directory"),
    "no classes": (lambda root: files(root, {"a.png": png(), "b.png": png()}), "no folders"),
    "empty classes": (lambda root: files(root, {"x/.keep": b"", "y/.keep": b""}), "no folders"),
    "one class": (
        lambda root: files(root, {f"x/{k}.png": png(12, k) for k in range(40)}),
        "one class",
    ),
    "one picture each": (lambda root: files(root, {"x/a.png": png(), "y/b.png": png(9)}), "empty"),
    "hidden classes": (lambda root: files(root, {".x/a.png": png(), ".y/b.png": png()}), "no fold"),
    "no pictures by their names": (
        lambda root: files(root, {"x/a.txt": b"a", "y/b.pdf": b"%PDF"}),
        "no folders",
    ),
    "files without bytes": (lambda root: many(root, b""), "no picture"),
    "texts that are called pictures": (lambda root: many(root, b"hello\n"), "no picture"),
    "bytes that are called pictures": (lambda root: many(root, bytes(range(256))), "no picture"),
    "PNG cut short": (lambda root: many(root, png()[:40]), "no picture"),
    "a header of PNG alone": (lambda root: many(root, png()[:8]), "no picture"),
    "JPEG cut short": (lambda root: many(root, b"\xff\xd8\xff\xe0\0\x10JFIF", "a.jpg"), "no pict"),
    "a mark of JPEG alone": (lambda root: many(root, b"\xff\xd8\xff", "a.jpeg"), "no picture"),
    "GIF cut short": (lambda root: many(root, b"GIF89a\x01\0\x01\0", "a.gif"), "no picture"),
    "BMP cut short": (lambda root: many(root, b"BM\x10\0\0\0", "a.bmp"), "no picture"),
    "PNG of thousand millions": (lambda root: many(root, png_of(65535, 65535)), "no picture"),
    "PNG of 32 bits a side": (lambda root: many(root, png_of(2**31 - 1, 2**31 - 1)), "no picture"),
    "PNG without a side": (lambda root: many(root, png_of(0, 10)), "no picture"),
    "links to nowhere": (dangling, "bad"),
    "folders that hold each other": (linked, "no folders"),
    "folders that are called pictures": (directories, "bad"),
    "train without classes": (
        lambda root: files(root, {"train/a.png": png(), "test/b.png": png()}),
        "no class folders",
    ),
    "test alone": (
        lambda root: files(root, {"test/x/a.png": png(), "test/y/b.png": png(9)}),
        "distinct",
    ),
    "names of line breaks": (
        lambda root: files(root, {"x\ny/a\n.png": b"no picture", "ü \t/é.png": b""}),
        "no picture",
    ),
    "a name that is no UTF-8": (
        lambda root: files(root, {"x/\udcff.png": b"no picture", "y/a.png": b""}),
        "no picture",
    ),
    "equal pictures": (lambda root: many(root, png()), "empty"),
}
# They are decoded before they can be refused.
LONG = {
    *("one class", "equal pictures", "one picture each", "test alone", "train without classes"),
    *("JPEG cut short", "GIF cut short", "BMP cut short", "PNG of 32 bits a side"),
}
