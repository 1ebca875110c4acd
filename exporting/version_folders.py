"""Folders of numbered versions: a new one appears whole, or not at all."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

WRITING = ".writing-"


class Version:
    """A version that is being written, and where it will be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder))
        self.target = self.path

    def publish(self) -> None:
        """Take the next number, all at once; another export may take one meanwhile."""
        self.path.chmod(0o755)
        # After a loss of power the name must not be there without what it names.
        for path in [*self.path.rglob("*"), self.path]:
            _keep(path)
        while self.path.exists():
            self.target = _next_version(self.folder)
            try:
                self.path.rename(self.target)
            except OSError:
                if not self.target.exists():
                    raise
        _keep(self.folder)


@contextlib.contextmanager
def published(folder: Path) -> Iterator[Version]:
    """A version to write, which gets the next number in a folder if nothing is raised."""
    with contextlib.ExitStack() as held:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            held.callback(_remove_empty, folder)
        # No other export takes what has been made, but not yet held, for a dead one's.
        with _opened(folder) as whole:
            fcntl.flock(whole, fcntl.LOCK_EX)
            _remove_dead(folder)
            version = Version(folder)
            fcntl.flock(held.enter_context(_opened(version.path)), fcntl.LOCK_EX)
        try:
            yield version
            version.publish()
        finally:
            shutil.rmtree(version.path, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds a version
        folder.rmdir()


def _remove_dead(folder: Path) -> None:
    """Remove what killed exports began: a living one holds a lock on its directory."""
    for path in folder.glob(f"{WRITING}*"):
        with contextlib.suppress(OSError), _opened(path) as begun:
            fcntl.flock(begun, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def _keep(path: Path) -> None:
    with _opened(path) as number:
        os.fsync(number)


def _next_version(folder: Path) -> Path:
    versions = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    return folder / str(max(versions, default=0) + 1)
