"""Folders of numbered versions; a new version appears complete or not at all."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

UNFINISHED_PREFIX = ".writing-"


class Version:
    """An unfinished version; `target` is its directory after `publish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=folder))
        self.target = self.path

    def publish(self) -> None:
        """Rename the directory to the next free number; concurrent exports get different ones."""
        self.path.chmod(0o755)
        # After a power failure the name must not exist without its content.
        for path in [*self.path.rglob("*"), self.path]:
            _fsync(path)
        while self.path.exists():
            self.target = _next_version(self.folder)
            try:
                self.path.rename(self.target)
            except OSError:
                if not self.target.exists():
                    raise
        _fsync(self.folder)


@contextlib.contextmanager
def new_version(folder: Path) -> Iterator[Version]:
    """Yield a version to write, and publish it unless an exception is raised."""
    with contextlib.ExitStack() as cleanup:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            cleanup.callback(_remove_empty, folder)
        # Another export must not remove the new directory before it is locked.
        with _opened(folder) as folder_lock:
            fcntl.flock(folder_lock, fcntl.LOCK_EX)
            _remove_abandoned(folder)
            version = Version(folder)
            fcntl.flock(cleanup.enter_context(_opened(version.path)), fcntl.LOCK_EX)
        try:
            yield version
            version.publish()
        finally:
            shutil.rmtree(version.path, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # It holds a version.
        folder.rmdir()


def _remove_abandoned(folder: Path) -> None:
    """Remove the directories of killed exports; a running export has locked its directory."""
    for path in folder.glob(f"{UNFINISHED_PREFIX}*"):
        with contextlib.suppress(OSError), _opened(path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fsync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)


def _next_version(folder: Path) -> Path:
    versions = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    return folder / str(max(versions, default=0) + 1)
