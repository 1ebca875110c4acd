"""A file format for arrays and JSON with a checksum."""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.files import atomic_write

MAGIC = b"athanor\x01"
LENGTH = struct.Struct("<Q")
DIGEST_BYTES = 16


class DamagedError(ValueError):
    """Raised for a file that was damaged after it was written."""


class Snapshot(NamedTuple):
    """Content of a file: JSON `values`, and lists of arrays by name."""

    values: dict[str, Any]
    arrays: dict[str, list[np.ndarray]]


def write(path: Path, values: dict[str, Any], arrays: dict[str, Sequence[np.ndarray]]) -> None:
    """Write a file atomically: a JSON header, the arrays, a checksum."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with atomic_write(path) as beside, beside.open("wb") as file:
        for piece in _pieces(values, arrays):
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())


def _pieces(values: dict[str, Any], arrays: dict[str, Sequence[np.ndarray]]) -> Iterator[Any]:
    forms = {
        name: [[one.dtype.name, one.shape] for one in several] for name, several in arrays.items()
    }
    header = json.dumps({"told": values, "forms": forms}, default=float).encode()
    yield MAGIC + LENGTH.pack(len(header)) + header
    for several in arrays.values():
        for one in several:
            # Flat bytes: some number formats, such as bfloat16, have no buffer of their own.
            yield np.ascontiguousarray(one).reshape(-1).view(np.uint8)


def read(path: Path) -> Snapshot:
    """Read a file. Raises DamagedError if it is not as it was written."""
    content = memoryview(path.read_bytes())
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if body[: len(MAGIC)] != MAGIC:
        raise DamagedError("it is not a checkpoint")
    if hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest() != digest:
        raise DamagedError("its checksum differs")
    place = len(MAGIC) + LENGTH.size
    (length,) = LENGTH.unpack(body[len(MAGIC) : place])
    header = json.loads(bytes(body[place : place + length]))
    place += length
    arrays: dict[str, list[np.ndarray]] = {}
    for name, forms in header["forms"].items():
        arrays[name] = []
        for kind, shape in forms:
            dtype = np.dtype(kind)
            count = int(np.prod(shape))
            arrays[name].append(np.frombuffer(body, dtype, count, place).reshape(shape))
            place += count * dtype.itemsize
    return Snapshot(header["told"], arrays)
