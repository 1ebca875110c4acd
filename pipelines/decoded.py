"""Decoded sets kept on the disk, so that the next process need not decode them again."""

import contextlib
import hashlib
import zipfile
from collections.abc import Callable

import numpy as np

from pipelines import looking
from pipelines.examples import Examples
from pipelines.files import cache_directory, whole

LARGEST = 2**30  # bytes; larger sets are decoded anew


def remembered(key: str, make: Callable[[], Examples]) -> Examples:
    """The examples of a key: from the cache directory, or made now and kept there.

    `key` has to name everything that the examples depend on. What is damaged
    is made again; a directory that cannot be written costs only time. Who looks
    wants to see the files themselves, and keeps no more than small images.
    """
    if looking.now():
        return make()
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    path = cache_directory() / "decoded" / f"{name}.npz"
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            return Examples.of(stored["features"], stored["target"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        examples = make()
    size = examples.features.nbytes + examples.target.nbytes
    if size <= LARGEST and not isinstance(examples.features, np.memmap):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as beside, beside.open("wb") as file:
                np.savez(file, features=examples.features, target=examples.target)
    return examples
