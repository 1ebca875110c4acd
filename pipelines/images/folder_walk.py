"""What lies in a directory, without what operating systems and programs put there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.images.formats import HEADER

# What operating systems and programs put between pictures; hidden names begin with a dot.
SYSTEM = {"__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"}
SYSTEM |= {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}


class Found(NamedTuple):
    """A file, or what should be one and cannot be read for the reason of `problem`."""

    path: Path
    problem: str = ""


def folders(root: Path) -> list[Path]:
    """The folders in a directory, without hidden ones and those of systems."""
    try:
        inside = sorted(root.iterdir())
        return [path for path in inside if path.is_dir() and not is_system(path.name)]
    except OSError:
        return []


def is_system(name: str) -> bool:
    """Whether a file or a folder of this name belongs to a program, not to the user's pictures."""
    return name.startswith(".") or name.casefold() in SYSTEM


def files(folder: Path, root: Path) -> Iterator[Found]:
    """Every file in a folder, however deep, in the order of their names.

    A link to a folder is followed unless it leads into `root` again.
    """
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield Found(folder, "folders that cannot be opened")
        return
    for entry in inside:
        path = folder / entry.name
        if is_system(entry.name):
            continue
        if entry.is_file():
            yield Found(path)
        elif not entry.is_dir():
            yield Found(path, "links to nothing" if entry.is_symlink() else "no files")
        elif entry.is_symlink() and _meets(path.resolve(), root.resolve()):
            yield Found(path, "links into the same set")
        else:
            yield from files(path, path if entry.is_symlink() else root)


def start_of(path: Path) -> bytes:
    """The bytes that tell the format of a file; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEADER)
    except OSError:
        return b""


def _meets(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def loose_files(folder: Path) -> list[Path]:
    """The files in a directory itself, without hidden ones and those of systems."""
    try:
        return [one for one in folder.iterdir() if one.is_file() and not is_system(one.name)]
    except OSError:
        return []
