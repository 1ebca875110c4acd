"""The encoding of a text file: UTF-8, UTF-16 or 32, or what its letters suggest.

    find(name, file)    how its bytes become text, and what to tell the user

A file of UTF-8 with some bytes that are none stays UTF-8. Any other is taken for one of
the Windows, Mac, DOS or East Asian encodings: Latin ones are told apart by the letters of
languages (see `latin`), others by charset-normalizer.
"""

import codecs
import re
from typing import BinaryIO, NamedTuple

from pipelines.examples import DataError
from pipelines.tables import latin

PART = 2**20  # bytes that are looked at together
HEAD = 4096  # bytes that show whether letters take two bytes each
SAMPLE = 2**16  # bytes of lines with other letters than English ones
NUM_NAMED = 5
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Western and Central European encodings, in which letters beyond ASCII are few and far between.
LATIN = {
    "cp1252": "Windows-1252",
    "cp1250": "Windows-1250",
    "cp1254": "Windows-1254",
    "cp1257": "Windows-1257",
    "iso8859_2": "ISO-8859-2",
    "mac_roman": "Mac Roman",
    "cp850": "DOS code page 850",
    "cp852": "DOS code page 852",
}
OTHERS = {
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
TITLES = LATIN | OTHERS
# One or two, or three beside a small letter of ASCII.
FEW_TOGETHER = re.compile(
    rb"(?<![\x80-\xff])[\x80-\xff]{1,2}(?![\x80-\xff])"
    rb"|(?<![\x80-\xff])[\x80-\xff]{3}(?=[a-z])|(?<=[a-z])[\x80-\xff]{3}(?![\x80-\xff])"
)
HIGH = re.compile(rb"[\x80-\xff]")
WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")


class Encoding(NamedTuple):
    """How the bytes of a file become text.

    Attributes:
        codec: Python's name of the encoding.
        notes: what to tell the user.
        padded: whether NUL bytes follow the text.

    """

    codec: str
    notes: tuple[str, ...] = ()
    padded: bool = False


def find(name: str, file: BinaryIO) -> Encoding:
    """The encoding of a file that is called `name`. Raises DataError where it holds no text."""
    file.seek(0)
    head = file.read(HEAD)
    codec = next((codec for mark, codec in MARKS.items() if head.startswith(mark)), "")
    codec = codec or _of_two_bytes(head) or "utf-8"
    survey = _survey(name, file, codec)
    told: tuple[str, ...] = ()
    if codec == "utf-8" and survey.bad > survey.extra:
        sample = _sample(file)
        codec = detected(sample)
        word = WORD.search(sample.decode(codec, "replace"))
        such = f", as in {word[0][:40]!r}" if word else ""
        told = (f"{name} is not UTF-8; read as {TITLES[codec]}{such}",)
        survey = _survey(name, file, codec)
    return Encoding(codec, (*told, *survey.notes(name, codec)), bool(survey.nuls))


class Survey(NamedTuple):
    """What decoding finds.

    Attributes:
        bad: bytes that the encoding does not have.
        lines: where the first of them are.
        extra: bytes that letters of several bytes have more than one.
        nuls: NUL bytes at the end.

    """

    bad: int
    lines: list[int]
    extra: int
    nuls: int

    def notes(self, name: str, codec: str) -> tuple[str, ...]:
        """What to tell the user."""
        told = []
        if self.bad:
            title = TITLES.get(codec, codec.upper().removesuffix("-SIG"))
            more = ", ..." if self.bad > len(self.lines) else ""
            where = ", ".join(f"line {line}" for line in dict.fromkeys(self.lines)) + more
            told.append(
                f"{name}: {self.bad} byte{'s' * (self.bad > 1)} that {title} does not have, each "
                f"read as \ufffd: {where}"
            )
        if self.nuls:
            told.append(
                f"{name}: {self.nuls} NUL bytes after the text left out; was the file cut off "
                "when it was copied?"
            )
        return tuple(told)


def _of_two_bytes(head: bytes) -> str:
    """UTF-16 without its mark: every second byte is NUL, and no other."""
    for codec, nuls, others in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if b"\0" not in others and nuls.count(0) > len(others) / 2:
            return codec
    return ""


def _survey(name: str, file: BinaryIO, codec: str) -> Survey:
    """Decode all of a file. Raises DataError for NUL bytes that are not at its end."""
    wide = codec.startswith(("utf-16", "utf-32"))
    # Escaped, a bad byte of UTF-8 differs from every letter that the file may hold.
    escaped = codec.startswith("utf-8")
    pattern = re.compile("[\udc80-\udcff]" if escaped else "\ufffd")
    decoder = codecs.getincrementaldecoder(codec)("surrogateescape" if escaped else "replace")
    bad, lines, extra, nuls, line = 0, list[int](), 0, 0, 1
    file.seek(0)
    while part := file.read(PART):
        text = decoder.decode(part)
        if not wide and (nuls or 0 in part):
            content = part.rstrip(b"\0")
            if content and (nuls or 0 in content):
                raise _no_text(name, line + content[: content.find(0)].count(b"\n") * (not nuls))
            nuls += len(part) - len(content)
        extra += len(part) - len(text)
        if not text.isascii():
            found = [one.start() for one in pattern.finditer(text)]
            some = found[: NUM_NAMED - len(lines)]
            lines += [line + _breaks(text[:place]) for place in some]
            bad += len(found)
        line += _breaks(text)
    if nuls and nuls == file.tell():
        raise _no_text(name, 1)
    rest = len(decoder.decode(b"", final=True))
    return Survey(bad + rest, lines + [line] * (rest and not lines), extra - rest, nuls)


def _breaks(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _no_text(name: str, line: int) -> DataError:
    return DataError(
        f"Received {name!r}, which holds bytes of no text (a NUL byte in line {line}); expected a "
        "CSV file in UTF-8, UTF-16 or another encoding of texts. Export it as CSV again."
    )


def _sample(file: BinaryIO) -> bytes:
    """Different lines with letters beyond ASCII."""
    file.seek(0)
    lines, size = dict[bytes, None](), 0
    while size < SAMPLE and (line := file.readline(PART)):
        if not line.isascii() and line not in lines:
            lines[line] = None
            size += len(line)
    return b"".join(lines)[:SAMPLE]


def detected(sample: bytes) -> str:
    """The encoding, none of Unicode, in which a sample is most likely written.

    Latin texts have one or two letters beyond ASCII together; other scripts have long runs
    of them.
    """
    from charset_normalizer import from_bytes

    high = HIGH.findall(sample)
    together = sum(map(len, FEW_TOGETHER.findall(sample)))
    if together > 0.6 * len(high):
        return latin.best(sample, LATIN)
    found = from_bytes(
        sample, steps=10, chunk_size=1024, threshold=0.5, cp_isolation=[*OTHERS]
    ).best()
    return found.encoding if found else "cp1252"
