"""Read word vectors from a file in the text form of GloVe, word2vec or fastText."""

import contextlib
import functools
import gzip
import hashlib
import zlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.files import expand_home

MAX_LINE_BYTES = 2**20
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"  # first bytes of a file
FORM = "lines of a word and as many numbers each, separated by single spaces"


class WordVectors(NamedTuple):
    """Vectors of lower-case words, float32 [dimensions] each, and the digest of the whole file."""

    of: dict[str, np.ndarray]
    digest: str


class _Line(NamedTuple):
    number: int
    word: str
    values: bytes


def require_file(path: str) -> None:
    """Raise DataError if a file cannot be read, or does not begin with a word and its vector."""
    _vector(path, next(_lines(path, hashlib.blake2b())))


def read_vectors(path: str, words: Collection[str], max_others: int) -> WordVectors:
    """Read the vectors of lower-case words, and of the first `max_others` other words of a file.

    A word in another case stands for the lower-case one if the file has no vector of that. Only
    these vectors are parsed and kept, so that a file of gigabytes needs little memory.

    Raises DataError if the file cannot be read, or is not of this form.
    """
    digest, requested = hashlib.blake2b(digest_size=16), frozenset(words)
    found: dict[str, np.ndarray] = {}
    lines_of: dict[str, int] = {}  # of the words that are in lower case in the file
    for line in _lines(path, digest):
        word = line.word.lower()
        if word not in found and word not in requested:
            if not max_others:
                continue
            max_others -= 1
        is_lower = word == line.word
        if is_lower and word in lines_of:
            received = f"{word!r} as in line {lines_of[word]}"
            raise _line_error(path, line.number, received, "each word once")
        if is_lower:
            lines_of[word] = line.number
        if is_lower or word not in found:
            found[word] = _vector(path, line)
    return WordVectors(found, digest.hexdigest())


def _lines(path: str, digest: Any) -> Iterator[_Line]:
    """Yield the lines of a file, without a header, and without words that contain spaces."""
    size = 0
    for number, line in enumerate(_raw_lines(path), 1):
        digest.update(line)
        word, _, values = line.rstrip().partition(b" ")
        if not word:
            continue
        count = values.count(b" ") + 1 if values else 0
        if number == 1 and count == 1 and word.isdigit() and values.isdigit():
            continue  # word2vec and fastText write the numbers of words and of dimensions
        size = size or count
        if count != size or not size:
            if size and _are_words(values.split(b" ")[: max(0, count - size)]):
                continue
            received = f"{_quoted(word)} and {count} numbers"
            raise _line_error(path, number, received, f"{size}, as before" if size else FORM)
        try:
            yield _Line(number, word.decode(), values)
        except UnicodeDecodeError as error:
            raise _line_error(path, number, f"{_quoted(word)}, which is not UTF-8", FORM) from error
    if not size:
        raise DataError(f"Received --vectors {path!r}, which has no words; expected {FORM}.")


def _raw_lines(path: str) -> Iterator[bytes]:
    try:
        with expand_home(path).open("rb") as file:
            first = file.read(len(ZIP))
            if first == ZIP:
                raise DataError(
                    f"Received --vectors {path!r}, a zip archive; expected a text file or a .gz. "
                    "Unpack it, and name one of its files."
                )
            file.seek(0)
            is_compressed = first.startswith(GZIP)
            with gzip.open(file) if is_compressed else contextlib.nullcontext(file) as lines:
                yield from iter(functools.partial(lines.readline, MAX_LINE_BYTES), b"")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"Received --vectors {path!r}, which cannot be read "
            f"({getattr(error, 'strerror', None) or error}); expected a file of word vectors. "
            "Check the path."
        ) from error


def _are_words(values: list[bytes]) -> bool:
    """Return whether values between a word and its vector are parts of the word."""
    try:
        return any(np.isnan(float(value)) for value in values)
    except ValueError:
        return True


def _vector(path: str, line: _Line) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):  # larger numbers become infinite
            vector = np.array([float(value) for value in line.values.split(b" ")], "float32")
    except ValueError as error:
        received = f"{line.word!r} and {_quoted(line.values)}"
        raise _line_error(path, line.number, received, "numbers after the word") from error
    if not np.isfinite(vector).all():
        received = f"{line.word!r} and a number that is not finite"
        raise _line_error(path, line.number, received, "finite numbers")
    return vector


def _quoted(value: bytes) -> str:
    return repr(value[:40].decode("utf-8", "replace"))


def _line_error(path: str, number: int, received: str, expected: str) -> DataError:
    return DataError(
        f"Received --vectors {path!r} with {received} in line {number}; expected {expected}. "
        "Repair the file, or name another."
    )
