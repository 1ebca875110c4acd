"""Arrays, and what is said of them, in a file that shows whether it is whole."""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.files import whole

MAGIC = b"athanor\x01"
LENGTH = struct.Struct("<Q")
DIGEST = 16  # bytes


class DamagedError(ValueError):
    """A file that is not as it was written."""


class Snapshot(NamedTuple):
    """What a file holds: `told`, which JSON can say, and lists of arrays by their names."""

    told: dict[str, Any]
    arrays: dict[str, list[np.ndarray]]


def write(path: Path, told: dict[str, Any], arrays: dict[str, Sequence[np.ndarray]]) -> None:
    """Write a file, whole or not at all: a header in JSON, the arrays, a checksum of it all."""
    digest = hashlib.blake2b(digest_size=DIGEST)
    with whole(path) as beside, beside.open("wb") as file:
        for piece in _pieces(told, arrays):
            digest.update(piece)
            file.write(piece)
        file.write(digest.digest())


def _pieces(told: dict[str, Any], arrays: dict[str, Sequence[np.ndarray]]) -> Iterator[Any]:
    forms = {
        name: [[one.dtype.name, one.shape] for one in several] for name, several in arrays.items()
    }
    header = json.dumps({"told": told, "forms": forms}, default=float).encode()
    yield MAGIC + LENGTH.pack(len(header)) + header
    for several in arrays.values():
        for one in several:
            # Flat bytes: some number formats, such as bfloat16, have no buffer of their own.
            yield np.ascontiguousarray(one).reshape(-1).view(np.uint8)


def read(path: Path) -> Snapshot:
    """Read a file. Raises DamagedError where it is not as it was written."""
    content = memoryview(path.read_bytes())
    body, digest = content[:-DIGEST], content[-DIGEST:]
    if body[: len(MAGIC)] != MAGIC:
        raise DamagedError("it is no checkpoint")
    if hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise DamagedError("its checksum is another")
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
