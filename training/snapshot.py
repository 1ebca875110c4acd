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
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        for piece in _pieces(values, arrays):
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())


def _pieces(values: dict[str, Any], arrays: dict[str, Sequence[np.ndarray]]) -> Iterator[Any]:
    forms = {
        name: [[array.dtype.name, array.shape] for array in group] for name, group in arrays.items()
    }
    header = json.dumps({"told": values, "forms": forms}, default=float).encode()
    yield MAGIC + LENGTH.pack(len(header)) + header
    for group in arrays.values():
        for array in group:
            # Flat bytes: some number formats, such as bfloat16, have no buffer of their own.
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def read(path: Path) -> Snapshot:
    """Read a file. Raises DamagedError if it has changed since it was written."""
    content = memoryview(path.read_bytes())
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if body[: len(MAGIC)] != MAGIC:
        raise DamagedError("it is not a checkpoint")
    if hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest() != digest:
        raise DamagedError("its checksum differs")
    offset = len(MAGIC) + LENGTH.size
    (length,) = LENGTH.unpack(body[len(MAGIC) : offset])
    header = json.loads(bytes(body[offset : offset + length]))
    offset += length
    arrays: dict[str, list[np.ndarray]] = {}
    for name, forms in header["forms"].items():
        arrays[name] = []
        for kind, shape in forms:
            dtype = np.dtype(kind)
            count = int(np.prod(shape))
            arrays[name].append(np.frombuffer(body, dtype, count, offset).reshape(shape))
            offset += count * dtype.itemsize
    return Snapshot(header["told"], arrays)
