"""Open text files that may be compressed, and refuse files of other formats."""

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

HEADER_BYTES = 4096  # read to recognise the format of a file
DAMAGE_ERRORS = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
DECOMPRESSORS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh91AY&SY": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": lambda file: io.BufferedReader(_Zstandard(file)),
}
ZIP_SIGNATURE = b"PK\x03\x04"
OTHER_FORMATS = {
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
OTHER_ADDRESSES = {
    "is a Parquet file": "Name it parquet:PATH.",
    "is an Arrow file": "Name it feather:PATH.",
}
TAR_SIGNATURE = (257, b"ustar")  # position and bytes
EXCEL_MEMBER = "[Content_Types].xml"


class OpenedFile(NamedTuple):
    """An open file.

    Attributes:
        file: its decompressed content, which can be read several times.
        raw: the file on the disk, whose position gives the progress.
        name: the name of the file (in its archive, if any) without a suffix such as .gz.

    """

    file: BinaryIO
    raw: BinaryIO
    name: str


@contextlib.contextmanager
def opened(path: Path) -> Iterator[OpenedFile]:
    """Open a text file, plain or compressed by gzip, bzip2, xz, zstd or zip.

    Raises AddressError if it cannot be read, and DataError if it has another format or is
    damaged, also while it is read.
    """
    with contextlib.ExitStack() as stack:
        try:
            raw = _seekable(stack.enter_context(path.open("rb")))
            yield _content(path, raw, stack)
        except DAMAGE_ERRORS as error:
            raise DataError(
                f"Received {str(path)!r}, which is compressed and damaged or cut off ({error}); "
                "expected a whole file. Copy it again."
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise AddressError(
                f"Received {str(path)!r}, which cannot be read ({reason}); expected a CSV file."
            ) from error


class _Shared(io.RawIOBase):
    """A file that stays open when this view of it is closed, as Arrow does."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, memory: Any) -> int:
        return cast("Any", self._raw).readinto(memory)


class _Zstandard(io.RawIOBase):
    """The content of a file compressed by zstd; can only be rewound, not moved elsewhere."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._position = raw, 0
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence != io.SEEK_SET:
            if whence == io.SEEK_CUR and not offset:
                return self._position
            raise io.UnsupportedOperation
        import pyarrow as pa

        self._raw.seek(0)
        self._position = 0
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Shared(self._raw), mode="r"), "zstd")
        return 0

    def readinto(self, memory: Any) -> int:
        try:
            content = self._stream.read(len(memory))
        except OSError as error:
            raise EOFError(str(error)) from error
        memory[: len(content)] = content
        self._position += len(content)
        return len(content)


def _seekable(file: BinaryIO) -> BinaryIO:
    return file if file.seekable() else io.BytesIO(file.read())  # a pipe can be read only once


def _content(path: Path, raw: BinaryIO, stack: contextlib.ExitStack) -> OpenedFile:
    head = _header(raw)
    if head.startswith(ZIP_SIGNATURE):
        archive = stack.enter_context(zipfile.ZipFile(raw))
        member = _only_member(path, archive)
        return OpenedFile(stack.enter_context(_member(path, archive, member)), raw, member.filename)
    file, name = raw, path.name
    for signature, reader in DECOMPRESSORS.items():
        if head.startswith(signature):
            file = stack.enter_context(reader(raw))
            head, name = _header(file), path.stem
    position, signature = TAR_SIGNATURE
    kinds = [kind for start, kind in OTHER_FORMATS.items() if head.startswith(start)]
    if head[position:].startswith(signature):
        kinds = ["is a tar archive"]
    if kinds:
        raise DataError(
            f"Received {str(path)!r}, which {kinds[0]}, not a text; expected a CSV file, plain or "
            f"compressed by gzip. {OTHER_ADDRESSES.get(kinds[0], 'Unpack it, or save it as CSV.')}"
        )
    return OpenedFile(file, raw, name)


def _header(file: BinaryIO) -> bytes:
    head = file.read(HEADER_BYTES)
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
    if EXCEL_MEMBER in archive.namelist():
        raise DataError(
            f"Received {str(path)!r}, which is an Excel workbook; expected a CSV file. Name it "
            "xlsx:PATH, or save the sheet as CSV in Excel."
        )
    # macOS adds folders and files of its own, whose names begin with these.
    files = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(("__MACOSX/", "."))
    ]
    if len(files) != 1 or files[0].flag_bits & 1:
        named = ", ".join(member.filename for member in files[:3]) + ", ..." * (len(files) > 3)
        has = f"{len(files)} files ({named})" if len(files) != 1 else "a file with a password"
        raise DataError(
            f"Received {str(path)!r}, a zip that holds {has}; expected a single CSV file in it. "
            "Unpack it, and name the file."
        )
    return files[0]
