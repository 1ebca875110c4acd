"""Files that appear whole or not at all, and the place for what can be made again."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

UNWRITABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, breaks of lines

# Of files that hold tables or texts, and of what people take for one.
SUFFIXES = {".csv", ".tsv", ".tab", ".psv", ".txt", ".text", ".md", ".log", ".dat", ".data"}
SUFFIXES |= {".gz", ".bz2", ".xz", ".zip", ".zst", ".7z", ".tar", ".json", ".jsonl", ".parquet"}
SUFFIXES |= {".xls", ".xlsx", ".ods", ".html", ".pdf", ".doc", ".docx", ".npz"}


def cache_directory() -> Path:
    """Where this user's measurements and decoded sets are kept; it may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "athanor"


def state_directory() -> Path:
    """Where this user's records are kept that nothing can make again."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "athanor"


def without_home(text: str) -> str:
    """A text to be kept, with ~ for the user's home, which is nobody else's business."""
    home = str(at_home("~"))
    # Whole names alone: /people/ann is no part of /people/anna or /disk/people/ann.
    named = rf"(?<![\w/.~-]){re.escape(home)}(?![\w-]|\.\w)"
    return re.sub(named, "~", text) if len(home) > 1 else text


def at_home(name: str) -> Path:
    """The path that a name means, where it may begin with ~."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - as it is where there is no such home


def printable(name: str) -> str:
    """The name of a file on one line, as text that can be written.

    Line breaks, and bytes that are no UTF-8, are escaped.
    """
    return "".join(
        char.encode("unicode_escape").decode() if category(char) in UNWRITABLE else char
        for char in name
    )


def looks_like_a_path(word: str) -> bool:
    """Whether a word from the command line is the name of a file, there or not.

    It is one by its ending, by how it begins, or by a folder before the name of a file.
    """
    if Path(word).suffix.lower() in SUFFIXES:
        return True
    if re.search(r"\s|://", word):
        return False
    return word.startswith(("/", "./", "../", "~/")) or bool(re.search(r"/[^/]+\.\w+$", word))


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path`, of the same ending; it takes `path`'s place if all goes well."""
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
