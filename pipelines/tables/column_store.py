"""Keep large tables and matrices on the disk, so that memory does not grow with it."""

import contextlib
import mmap
import tempfile
from collections.abc import Iterable
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import ipc

MAX_BYTES_IN_MEMORY = 2**29  # of the cells of a table


def release_memory() -> None:
    """Return the memory of freed tables to the system; Arrow keeps it for later ones."""
    pa.default_memory_pool().release_unused()


def new_matrix(shape: tuple[int, int]) -> np.ndarray:
    """Return an array of float64: in memory, or in a memory map of an unnamed file if it is large.

    The system writes parts of the map to the file and frees their memory when it needs to.
    """
    num_bytes = shape[0] * shape[1] * np.dtype("float64").itemsize
    if num_bytes <= MAX_BYTES_IN_MEMORY:
        return np.empty(shape)
    with tempfile.TemporaryFile(prefix="athanor-") as file:
        return np.memmap(file, "float64", mode="w+", shape=shape)


def stored(chunks: Iterable[pa.Array]) -> pa.ChunkedArray:
    """Return chunks of cells as a column: in memory, or in a memory map if they are large."""
    schema = pa.schema([("cells", pa.binary())])
    with contextlib.closing(ColumnStore(schema)) as store:
        for chunk in chunks:
            store.add(pa.table([chunk], schema))
        return store.table().column(0)


class ColumnStore:
    """Collects parts of a table: in memory, or in a memory map of a file if they are large.

    The file has no name: the system deletes it with the last view of it, even if the process is
    killed.

    Args:
        schema: the names and types of the columns.

    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema, self._parts, self._num_bytes = schema, list[pa.Table](), 0
        self._file: IO[bytes] | None = None
        self._writer: ipc.RecordBatchFileWriter | None = None

    def close(self) -> None:
        """Close the file; a table that was returned keeps its memory map."""
        if self._file is not None:
            self._file.close()

    def add(self, part: pa.Table) -> None:
        """Add the next rows."""
        self._parts.append(part)
        self._num_bytes += part.nbytes
        if self._num_bytes > MAX_BYTES_IN_MEMORY:
            self._write()

    def table(self) -> pa.Table:
        """Return all rows."""
        if self._writer is None or self._file is None:
            return pa.concat_tables([self.schema.empty_table(), *self._parts])
        self._write()
        self._writer.close()
        self._file.flush()
        content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return ipc.open_file(pa.BufferReader(pa.py_buffer(content))).read_all()

    def _write(self) -> None:
        if self._writer is None:
            self._file = tempfile.TemporaryFile(prefix="athanor-")  # noqa: SIM115
            self._writer = ipc.new_file(pa.PythonFile(self._file, mode="w"), self.schema)
        for part in self._parts:
            self._writer.write_table(part)
        self._parts, self._num_bytes = [], 0
        release_memory()
