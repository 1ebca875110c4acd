"""Detect the encoding of a text file.

    detect(name, file)    the encoding, and notes for the user

A file is UTF-8, also with a few invalid bytes, or UTF-16 or UTF-32. Otherwise it has one of the
Windows, Mac, DOS or East Asian encodings: Latin ones are distinguished by the letters of
languages (see `latin_encodings`), others by charset-normalizer.
"""

import codecs
import re
from typing import BinaryIO, NamedTuple

from pipelines.examples import DataError
from pipelines.tables import latin_encodings

BYTES_PER_READ = 2**20
HEADER_BYTES = 4096  # read to find a byte order mark, or UTF-16 without one
SAMPLE_BYTES = 2**16  # of lines with non-ASCII characters
MAX_LISTED_LINES = 5
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is a prefix of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Western and Central European encodings, in which non-ASCII letters are rare.
LATIN_ENCODINGS = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1254": "Windows-1254",
    "cp1257": "Windows-1257",
    "iso8859_2": "ISO-8859-2",
    "mac_roman": "Mac Roman",
    "cp850": "DOS code page 850",
    "cp852": "DOS code page 852",
}
OTHER_ENCODINGS = {
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "cp949": "EUC-KR",
    "cp1251": "Windows-1251",
    "koi8_r": "KOI8-R",
    "cp1253": "Windows-1253",
    "cp1255": "Windows-1255",
    "cp1256": "Windows-1256",
    "cp874": "Windows-874",
}
ENCODING_NAMES = LATIN_ENCODINGS | OTHER_ENCODINGS
# One or two non-ASCII bytes, or three next to a lower-case ASCII letter.
ISOLATED_NON_ASCII = re.compile(
    rb"(?<![\x80-\xff])[\x80-\xff]{1,2}(?![\x80-\xff])"
    rb"|(?<![\x80-\xff])[\x80-\xff]{3}(?=[a-z])|(?<=[a-z])[\x80-\xff]{3}(?![\x80-\xff])"
)
NON_ASCII = re.compile(rb"[\x80-\xff]")
NON_ASCII_WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")


class Encoding(NamedTuple):
    """The encoding of a file.

    Attributes:
        codec: Python's name of the encoding.
        notes: lines for the user.
        padded: whether NUL bytes follow the text.

    """

    codec: str
    notes: tuple[str, ...] = ()
    padded: bool = False


def detect(name: str, file: BinaryIO) -> Encoding:
    """Detect the encoding of the file called `name`. Raises DataError if it holds no text."""
    file.seek(0)
    head = file.read(HEADER_BYTES)
    codec = next((codec for mark, codec in BYTE_ORDER_MARKS.items() if head.startswith(mark)), "")
    codec = codec or _utf16_without_mark(head) or "utf-8"
    if codec == "utf-8" and _is_ascii_text(file):
        return Encoding(codec)
    result = _decode_all(name, file, codec)
    notes: tuple[str, ...] = ()
    if codec == "utf-8" and result.num_invalid > result.num_extra:
        sample = _sample(file)
        codec = detect_legacy(sample)
        word = NON_ASCII_WORD.search(sample.decode(codec, "replace"))
        such = f", as in {word[0][:40]!r}" if word else ""
        notes = (f"{name} is not UTF-8; read as {ENCODING_NAMES[codec]}{such}",)
        result = _decode_all(name, file, codec)
    return Encoding(codec, (*notes, *result.notes(name, codec)), bool(result.num_nuls))


def _is_ascii_text(file: BinaryIO) -> bool:
    """Whether a whole file is ASCII without a NUL byte."""
    file.seek(0)
    parts = iter(lambda: file.read(BYTES_PER_READ), b"")
    return all(part.isascii() and 0 not in part for part in parts)


class DecodingResult(NamedTuple):
    """Counts of a whole file that was decoded.

    Attributes:
        num_invalid: number of bytes that are invalid in the encoding.
        lines: the lines of the first invalid bytes.
        num_extra: number of bytes minus number of characters.
        num_nuls: number of NUL bytes at the end.

    """

    num_invalid: int
    lines: list[int]
    num_extra: int
    num_nuls: int

    def notes(self, name: str, codec: str) -> tuple[str, ...]:
        """Return lines for the user."""
        notes = []
        if self.num_invalid:
            title = ENCODING_NAMES.get(codec, codec.upper().removesuffix("-SIG"))
            more = ", ..." if self.num_invalid > len(self.lines) else ""
            locations = ", ".join(f"line {line}" for line in dict.fromkeys(self.lines)) + more
            notes.append(
                f"{name}: {self.num_invalid} byte{'s' * (self.num_invalid > 1)} invalid in "
                f"{title}, each read as \ufffd: {locations}"
            )
        if self.num_nuls:
            notes.append(
                f"{name}: {self.num_nuls} NUL bytes after the text are left out; the copy of the "
                "file may be incomplete"
            )
        return tuple(notes)


def _utf16_without_mark(head: bytes) -> str:
    """Recognise UTF-16 without a byte order mark: only every second byte is NUL."""
    for codec, nuls, other_bytes in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if b"\0" not in other_bytes and nuls.count(0) > len(other_bytes) / 2:
            return codec
    return ""


def _decode_all(name: str, file: BinaryIO, codec: str) -> DecodingResult:
    """Decode a whole file. Raises DataError for NUL bytes that are not at its end."""
    wide = codec.startswith(("utf-16", "utf-32"))
    # Escaped, an invalid byte of UTF-8 differs from every character of the file.
    escaped = codec.startswith("utf-8")
    pattern = re.compile("[\udc80-\udcff]" if escaped else "\ufffd")
    decoder = codecs.getincrementaldecoder(codec)("surrogateescape" if escaped else "replace")
    bad, lines, extra, nuls, line = 0, list[int](), 0, 0, 1
    file.seek(0)
    while part := file.read(BYTES_PER_READ):
        text = decoder.decode(part)
        if not wide and (nuls or 0 in part):
            content = part.rstrip(b"\0")
            if content and (nuls or 0 in content):
                raise _not_text_error(
                    name, line + content[: content.find(0)].count(b"\n") * (not nuls)
                )
            nuls += len(part) - len(content)
        extra += len(part) - len(text)
        if not text.isascii():
            positions = [match.start() for match in pattern.finditer(text)]
            listed = positions[: MAX_LISTED_LINES - len(lines)]
            lines += [line + _count_line_breaks(text[:position]) for position in listed]
            bad += len(positions)
        line += _count_line_breaks(text)
    if nuls and nuls == file.tell():
        raise _not_text_error(name, 1)
    rest = len(decoder.decode(b"", final=True))
    return DecodingResult(bad + rest, lines + [line] * (rest and not lines), extra - rest, nuls)


def _count_line_breaks(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _not_text_error(name: str, line: int) -> DataError:
    return DataError(
        f"Received {name!r}, which is not a text file (a NUL byte in line {line}); expected a "
        "CSV file in UTF-8, UTF-16 or another text encoding. Export it as CSV again."
    )


def _sample(file: BinaryIO) -> bytes:
    """Return distinct lines with non-ASCII characters."""
    file.seek(0)
    lines, size = dict[bytes, None](), 0
    while size < SAMPLE_BYTES and (line := file.readline(BYTES_PER_READ)):
        if not line.isascii() and line not in lines:
            lines[line] = None
            size += len(line)
    return b"".join(lines)[:SAMPLE_BYTES]


def detect_legacy(sample: bytes) -> str:
    """Return the most likely encoding of a sample that is not Unicode.

    Latin texts have one or two adjacent non-ASCII letters; other scripts have long sequences.
    """
    from charset_normalizer import from_bytes

    high = NON_ASCII.findall(sample)
    isolated = sum(map(len, ISOLATED_NON_ASCII.findall(sample)))
    if isolated > 0.6 * len(high):
        return latin_encodings.most_likely(sample, LATIN_ENCODINGS)
    detected = from_bytes(
        sample, steps=10, chunk_size=1024, threshold=0.5, cp_isolation=[*OTHER_ENCODINGS]
    ).best()
    return detected.encoding if detected else "cp1252"
