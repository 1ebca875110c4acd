"""Paths and file names: atomic writes, the user's directories, printable and plain names."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

PATTERN_CHARACTERS = {*"*?[]\\"}  # of a path in which TensorFlow looks for matching files
UNPRINTABLE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line breaks

# Suffixes of files that hold tables or texts, and of files that users mistake for them.
SUFFIXES = {".csv", ".tsv", ".tab", ".psv", ".txt", ".text", ".md", ".log", ".dat", ".data"}
SUFFIXES |= {".gz", ".bz2", ".xz", ".zip", ".zst", ".7z", ".tar", ".json", ".jsonl", ".parquet"}
SUFFIXES |= {
    ".pq",
    ".feather",
    ".arrow",
    ".ipc",
    ".ndjson",
    ".xls",
    ".xlsx",
    ".ods",
    ".html",
    ".pdf",
    ".doc",
    ".docx",
    ".npz",
}


def cache_directory() -> Path:
    """Return the user's cache directory of athanor, which may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "athanor"


def state_directory() -> Path:
    """Return the user's directory for records that cannot be recomputed."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "athanor"


def replace_home(text: str) -> str:
    """Replace the user's home directory in a text by ~, so that stored texts do not contain it."""
    home = str(expand_home("~"))
    # Only whole names match: /people/ann does not match in /people/anna or /disk/people/ann.
    named = rf"(?<![\w/.~-]){re.escape(home)}(?![\w-]|\.\w)"
    return re.sub(named, "~", text) if len(home) > 1 else text


def expand_home(name: str) -> Path:
    """Expand a leading ~ in a path."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - unchanged if there is no such user


def printable(name: str) -> str:
    """Return a file name as printable text on one line.

    Line breaks, control characters and bytes that are not UTF-8 are escaped.
    """
    return "".join(
        char.encode("unicode_escape").decode() if category(char) in UNPRINTABLE_CATEGORIES else char
        for char in name
    )


def looks_like_path(word: str) -> bool:
    """Whether a word of the command line looks like a file name, of an existing file or not.

    A known suffix, a leading / ./ ../ or ~/, or a folder before a file name makes it one.
    """
    if Path(word).suffix.lower() in SUFFIXES:
        return True
    if re.search(r"\s|://", word):
        return False
    return word.startswith(("/", "./", "../", "~/")) or bool(re.search(r"/[^/]+\.\w+$", word))


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; rename it to `path` if no exception is raised."""
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def plain_path(directory: Path) -> Iterator[Path]:
    """Yield a path to a directory that TensorFlow can read and write.

    TensorFlow takes a path with brackets, stars, question marks or backslashes for a pattern, and
    refuses names that are not UTF-8. In place of such a path it gets a temporary link.
    """
    name = str(directory)
    if not PATTERN_CHARACTERS & {*name} and all(category(char) != "Cs" for char in name):
        yield directory
        return
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "link"
        link.symlink_to(directory.absolute(), target_is_directory=True)
        yield link
