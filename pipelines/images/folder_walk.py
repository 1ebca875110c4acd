"""List files and folders of a directory, without those of operating systems and programs."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.images.formats import HEADER_BYTES

# Names that operating systems and programs create; hidden names begin with a dot.
SYSTEM_NAMES = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"}
SYSTEM_NAMES |= {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}


class FoundFile(NamedTuple):
    """A file; `problem` is the reason why it cannot be read, or ""."""

    path: Path
    problem: str = ""


def list_folders(root: Path) -> list[Path]:
    """Return the folders in a directory, without hidden ones and those of systems."""
    try:
        inside = sorted(root.iterdir())
        return [path for path in inside if path.is_dir() and not is_system_name(path.name)]
    except OSError:
        return []


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name belongs to a program, not to the user."""
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


def walk_files(folder: Path, root: Path) -> Iterator[FoundFile]:
    """Yield every file in a folder and its subfolders, in the order of their names.

    A link to a folder is followed unless it leads back into `root`.
    """
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield FoundFile(folder, "folders that cannot be opened")
        return
    for entry in inside:
        path = folder / entry.name
        if is_system_name(entry.name):
            continue
        if entry.is_file():
            yield FoundFile(path)
        elif not entry.is_dir():
            yield FoundFile(path, "links to nothing" if entry.is_symlink() else "no files")
        elif entry.is_symlink() and _overlap(path.resolve(), root.resolve()):
            yield FoundFile(path, "links into the same set")
        else:
            yield from walk_files(path, path if entry.is_symlink() else root)


def read_header(path: Path) -> bytes:
    """Read the bytes that identify the format of a file; b"" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES)
    except OSError:
        return b""


def _overlap(first: Path, second: Path) -> bool:
    return first == second or first in second.parents or second in first.parents


def list_files(folder: Path) -> list[Path]:
    """Return the files directly in a directory, without hidden ones and those of systems."""
    try:
        return [
            path for path in folder.iterdir() if path.is_file() and not is_system_name(path.name)
        ]
    except OSError:
        return []
