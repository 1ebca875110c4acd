"""Files as they lie on the disk: plain, compressed, or of a kind that holds no text."""

import bz2
import contextlib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from pipelines.examples import AddressError, DataError

HEAD = 4096  # bytes by which the kind of a file is known
BROKEN = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
READERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh91AY&SY": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
ZIP = b"PK\x03\x04"
KINDS = {
    b"\x28\xb5\x2f\xfd": "is compressed by zstd",
    b"7z\xbc\xaf\x27\x1c": "is a 7-Zip archive",
    b"Rar!\x1a\x07": "is a RAR archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is a workbook of an old Excel (.xls)",
    b"PAR1": "is a Parquet file",
    b"ARROW1": "is an Arrow file",
    b"\x89HDF": "is an HDF5 file",
    b"\x93NUMPY": "is a NumPy array",
    b"SQLite format 3\0": "is an SQLite database",
    b"%PDF-": "is a PDF document",
    b"\x7fELF": "is a program",
    b"\x89PNG": "is a picture",
    b"\xff\xd8\xff": "is a picture",
    b"GIF8": "is a picture",
}
TAR = (257, b"ustar")  # place and mark
WORKBOOK = "[Content_Types].xml"


class Opened(NamedTuple):
    """A file that is open.

    Attributes:
        file: its content, decompressed, which can be read several times.
        raw: what lies on the disk, by which progress is told.
        name: that of the file, in the archive where it is in one, without an ending such as .gz.

    """

    file: BinaryIO
    raw: BinaryIO
    name: str


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a text file, plain or compressed by gzip, bzip2, xz or zip.

    Raises AddressError where it cannot be read, DataError where it is of another
    kind or damaged, also while it is read.
    """
    with contextlib.ExitStack() as held:
        try:
            raw = _seekable(held.enter_context(path.open("rb")))
            yield _content(path, raw, held)
        except BROKEN as error:
            raise DataError(
                f"Received {str(path)!r}, which is compressed and damaged or cut off ({error}); "
                "expected a whole file. Copy it again."
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise AddressError(
                f"Received {str(path)!r}, which cannot be read ({reason}); expected a CSV file."
            ) from error


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if file.seekable() else io.BytesIO(file.read())  # a pipe can be read but once


def _content(path: Path, raw: BinaryIO, held: contextlib.ExitStack) -> Opened:
    head = _head(raw)
    if head.startswith(ZIP):
        archive = held.enter_context(zipfile.ZipFile(raw))
        member = _only_member(path, archive)
        return Opened(held.enter_context(_member(path, archive, member)), raw, member.filename)
    file, name = raw, path.name
    for mark, reader in READERS.items():
        if head.startswith(mark):
            file = held.enter_context(reader(raw))
            head, name = _head(file), path.stem
    place, mark = TAR
    kinds = [kind for start, kind in KINDS.items() if head.startswith(start)]
    if head[place:].startswith(mark):
        kinds = ["is a tar archive"]
    if kinds:
        raise DataError(
            f"Received {str(path)!r}, which {kinds[0]} and no text; expected a CSV file, plain or "
            "compressed by gzip. Unpack it, or save it as CSV."
        )
    return Opened(file, raw, name)


def _head(file: BinaryIO) -> bytes:
    head = file.read(HEAD)
    file.seek(0)
    return head


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    try:
        return cast("BinaryIO", archive.open(member))
    except NotImplementedError as error:  # Windows packs large files by Deflate64
        raise DataError(
            f"Received {str(path)!r}, a zip that is packed in a way that Python does not read "
            f"({error}); expected Deflate. Unpack it, and name the file."
        ) from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    if WORKBOOK in archive.namelist():
        raise DataError(
            f"Received {str(path)!r}, which is a workbook of Excel and no text; expected a CSV "
            "file. Save the sheet as CSV there."
        )
    # macOS adds folders and files of its own, whose names begin with these.
    files = [
        one
        for one in archive.infolist()
        if not one.is_dir() and not one.filename.startswith(("__MACOSX/", "."))
    ]
    if len(files) != 1 or files[0].flag_bits & 1:
        named = ", ".join(one.filename for one in files[:3]) + ", ..." * (len(files) > 3)
        has = f"{len(files)} files ({named})" if len(files) != 1 else "a file with a password"
        raise DataError(
            f"Received {str(path)!r}, a zip that holds {has}; expected a single CSV file in it. "
            "Unpack it, and name the file."
        )
    return files[0]
