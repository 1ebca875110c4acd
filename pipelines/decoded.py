"""A cache of decoded data sets on the disk."""

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

MAX_SET_BYTES = 2**30  # larger sets are not cached
MAX_CACHE_BYTES = 5 * 2**30  # of all cached sets; the least recently used are removed first


def load_or_make(
    key: str, make: Callable[[], Examples], inspection: Inspection | None = None
) -> Examples:
    """Return the examples of a key from the cache, or make them and cache them.

    `key` must contain everything on which the examples depend, except the code that reads them.
    Damaged files are made again; without a writable directory nothing is cached. An inspection
    always makes the examples, since it stores thumbnails.
    """
    if inspection:
        return make()
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    path = _directory() / f"{name}-{_code_digest()}.npz"
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            with contextlib.suppress(OSError):
                os.utime(path)  # so that the least recently used can be found
            return Examples.of(stored["features"], stored["target"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        examples = make()
    size = examples.features.nbytes + examples.target.nbytes
    if size <= MAX_SET_BYTES and not isinstance(examples.features, np.memmap):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.savez(file, features=examples.features, target=examples.target)
            prune(keep=path)
    return examples


def prune(max_bytes: int = MAX_CACHE_BYTES, *, keep: Path | None = None) -> int:
    """Remove cached sets, the least recently used first, until at most `max_bytes` bytes are left.

    The file `keep` stays. Returns the number of removed bytes.
    """
    newest_first = sorted(_cached_files(), key=lambda pair: pair[1].st_mtime_ns, reverse=True)
    total = removed = 0
    for path, stat in newest_first:
        total += stat.st_size
        if total > max_bytes and path != keep:
            removed += _remove(path, stat.st_size)
    return removed


def prune_stale() -> int:
    """Remove sets cached by other versions of the code; return the number of removed bytes."""
    stale = [
        (path, stat)
        for path, stat in _cached_files()
        if not path.stem.endswith(f"-{_code_digest()}")
    ]
    return sum(_remove(path, stat.st_size) for path, stat in stale)


def cache_size() -> int:
    """Return the size of all cached sets."""
    return sum(stat.st_size for _, stat in _cached_files())


def _directory() -> Path:
    return cache_directory() / "decoded"


def _cached_files() -> list[tuple[Path, os.stat_result]]:
    files = []
    for path in _directory().glob("*.npz"):
        with contextlib.suppress(OSError):  # another process removed it
            files.append((path, path.stat()))
    return files


def _remove(path: Path, size: int) -> int:
    try:
        path.unlink()
    except OSError:
        return 0
    return size


@functools.cache
def _code_digest() -> str:
    """Return a digest of the code that decodes: this package, and TensorFlow's version."""
    digest = hashlib.blake2b(importlib.metadata.version("tensorflow").encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
