"""Open text files, compressed or not, in any common encoding."""

import contextlib
import functools
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.files import expand_home
from pipelines.inspection import Inspection
from pipelines.tables import compressed, encodings
from pipelines.tables.encodings import Encoding

HEAD_BYTES = 2**20  # of a file that are read first
MAX_CHARACTER_BYTES = 4  # in UTF-8
_encodings: dict[tuple[str | int, ...], Encoding] = {}  # by name and state of the file


class TextFile:
    """An open text file, which can be read several times.

    Attributes:
        name: name of the file without its folders.
        suffix: its suffix in lower case; for a compressed file, the suffix of its content.

    """

    def __init__(
        self, path: Path, opened: compressed.OpenedFile, inspection: Inspection | None = None
    ) -> None:
        self.name, self._inspection = path.name, inspection
        self._file, self._raw, inner = opened
        self.suffix = Path(inner).suffix.lower()

    @functools.cached_property
    def _encoding(self) -> Encoding:
        """The detected encoding, cached for a file that does not change."""
        try:
            stat = os.fstat(self._raw.fileno())
        except io.UnsupportedOperation:  # read from a pipe
            return encodings.detect(self.name, self._file)
        state = (self.name, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if state not in _encodings:
            _encodings[state] = encodings.detect(self.name, self._file)
        return _encodings[state]

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user about the encoding."""
        return self._encoding.notes

    @contextlib.contextmanager
    def first_lines(self, at_least: int) -> Iterator[Iterable[str]]:
        """Yield the first lines: at least `at_least`, or all.

        If the beginning of the file is ASCII, its encoding does not matter: the rest is not read.
        """
        self._file.seek(0)
        head = self._file.read(HEAD_BYTES)
        if head.isascii() and b"\0" not in head and head.count(b"\n") >= at_least:
            yield io.StringIO(head[: head.rindex(b"\n") + 1].decode(), newline="")
        else:
            with self.lines() as lines:
                yield lines

    @contextlib.contextmanager
    def lines(self) -> Iterator[Iterable[str]]:
        """Yield all lines, with their line ends as in the file."""
        encoding = self._encoding  # detecting it moves the file's position
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, encoding.codec, errors="replace", newline="")
        try:
            yield (line.rstrip("\0") for line in text) if encoding.padded else text
        finally:
            text.detach()

    @contextlib.contextmanager
    def utf8(self) -> Iterator[BinaryIO]:
        """Yield the text as a file of UTF-8 bytes, without a byte order mark."""
        encoding = self._encoding
        self._file.seek(0)
        if encoding.codec == "utf-8" and not encoding.notes:
            yield self._file
            return
        text = io.TextIOWrapper(self._file, encoding.codec, errors="replace", newline="")
        try:
            yield io.BufferedReader(_Recoded(text, padded=encoding.padded))
        finally:
            text.detach()

    def progress(self) -> Callable[[], None]:
        """Return a function that reports to an inspection how much of the file is read."""
        if (inspection := self._inspection) is None:
            return lambda: None
        position = self._raw.tell()
        size = self._raw.seek(0, io.SEEK_END)
        self._raw.seek(position)
        return lambda: inspection.progress(f"reading {self.name}, byte", self._raw.tell(), size)


class _Recoded(io.RawIOBase):
    """The bytes of a text in UTF-8."""

    def __init__(self, text: io.TextIOWrapper, *, padded: bool) -> None:
        self._text, self._padded = text, padded

    def readable(self) -> bool:
        return True

    def readinto(self, memory: Any) -> int:
        content = self._text.read(len(memory) // MAX_CHARACTER_BYTES).encode()
        if self._padded:  # by NUL bytes after the text
            content = content.rstrip(b"\0")
        memory[: len(content)] = content
        return len(content)


@contextlib.contextmanager
def opened(name: str, inspection: Inspection | None = None) -> Iterator[TextFile]:
    """Open a text file.

    Raises AddressError if it cannot be read, DataError if it holds no text or is damaged.
    """
    path = expand_home(name)
    with compressed.opened(path) as file:
        yield TextFile(path, file, inspection)


class CountedLines:
    """Iterates over lines and adds their lengths to `num_characters`, which callers may reset.

    The first `num_skipped` lines are replaced by blank ones.
    """

    def __init__(self, lines: Iterable[str], num_skipped: int = 0) -> None:
        self.lines, self.num_skipped, self.num_characters = iter(lines), num_skipped, 0

    def __iter__(self) -> Iterator[str]:
        for _ in itertools.islice(self.lines, self.num_skipped):
            yield "\n"
        for line in self.lines:
            self.num_characters += len(line)
            yield line
