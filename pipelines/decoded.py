"""Decoded sets kept on the disk, so that the next process need not decode them again."""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipelines.examples import Examples
from pipelines.files import atomic_write, cache_directory
from pipelines.inspection import Inspection

LARGEST = 2**30  # bytes; larger sets are decoded anew
MAX_CACHE_BYTES = 5 * 2**30  # of all kept sets; the least recently used go first


def remembered(
    key: str, make: Callable[[], Examples], inspection: Inspection | None = None
) -> Examples:
    """The examples of a key: from the cache directory, or made now and kept there.

    `key` has to name everything that the examples depend on besides the code that reads them. What
    is damaged is made again; a directory that cannot be written costs only time. An inspection
    always makes the examples, since it keeps small images.
    """
    if inspection:
        return make()
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    path = _directory() / f"{name}-{_code()}.npz"
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            with contextlib.suppress(OSError):
                os.utime(path)  # used now
            return Examples.of(stored["features"], stored["target"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        examples = make()
    size = examples.features.nbytes + examples.target.nbytes
    if size <= LARGEST and not isinstance(examples.features, np.memmap):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as beside, beside.open("wb") as file:
                np.savez(file, features=examples.features, target=examples.target)
            prune(keep=path)
    return examples


def prune(most: int = MAX_CACHE_BYTES, *, keep: Path | None = None) -> int:
    """Remove kept sets, the least recently used first, until at most `most` bytes are left.

    The file `keep` stays. Returns the number of bytes that were removed.
    """
    found = sorted(_kept(), key=lambda pair: pair[1].st_mtime_ns, reverse=True)
    total = removed = 0
    for path, about in found:
        total += about.st_size
        if total > most and path != keep:
            removed += _remove(path, about.st_size)
    return removed


def prune_stale() -> int:
    """Remove sets that other versions of the code keep; the number of bytes that were removed."""
    stale = [(path, about) for path, about in _kept() if not path.stem.endswith(f"-{_code()}")]
    return sum(_remove(path, about.st_size) for path, about in stale)


def kept_bytes() -> int:
    """Of all kept sets."""
    return sum(about.st_size for _, about in _kept())


def _directory() -> Path:
    return cache_directory() / "decoded"


def _kept() -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in _directory().glob("*.npz"):
        with contextlib.suppress(OSError):  # another process removed it
            found.append((path, path.stat()))
    return found


def _remove(path: Path, size: int) -> int:
    try:
        path.unlink()
    except OSError:
        return 0
    return size


@functools.cache
def _code() -> str:
    """A digest of all code that decodes: this room, and TensorFlow's version."""
    digest = hashlib.blake2b(importlib.metadata.version("tensorflow").encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
