"""Read files whose columns have types: Parquet, Feather, JSON lines and Excel."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather, ipc, parquet, types
from pyarrow import json as arrow_json

from pipelines.examples import AddressError, DataError
from pipelines.files import expand_home
from pipelines.tables import text_files, workbooks
from pipelines.tables.column_store import ColumnStore

JSON_TYPES = {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
FORMATS = {
    "parquet": "a Parquet file",
    "feather": "a Feather or Arrow file",
    "jsonl": "a file of JSON lines, in which each line is an object and each key has one type",
    "xlsx": "an Excel workbook (.xlsx)",
}


def read(kind: str, name: str) -> pa.Table:
    """Read a file of one of `FORMATS`.

    Raises AddressError if it cannot be read, DataError if it is damaged or has another format.
    """
    return _load(kind, name, READERS[kind])


def schema(kind: str, name: str) -> pa.Schema:
    """Return the names and types of the columns of a file; of Parquet only the end is read."""
    if kind == "parquet":
        return _load(kind, name, _parquet_schema)
    return read(kind, name).schema


def _load(kind: str, name: str, load: Callable[[Path], Any]) -> Any:
    path = expand_home(name)
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise AddressError(
            f"Received {name!r}, which cannot be read ({reason}); expected {FORMATS[kind]}."
        ) from error
    try:
        return load(path)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"Received {name!r}, which is damaged or has another format ({reason}); expected "
            f"{FORMATS[kind]}. Write the file again, or give its format, such as csv:PATH."
        ) from error


def _parquet(path: Path) -> pa.Table:
    with parquet.ParquetFile(path, page_checksum_verification=True) as file:
        schema = pa.schema([*map(_decoded, file.schema_arrow)])
        if "dictionary<" in str(schema):  # in lists: each part would have another one
            return file.read()
        with contextlib.closing(ColumnStore(schema)) as store:
            for batch in file.iter_batches():
                store.add(pa.Table.from_batches([batch]).cast(schema))
            return store.table()


def _decoded(field: pa.Field) -> pa.Field:
    """Return the field with the type of its values, if it is a dictionary."""
    if not types.is_dictionary(field.type):
        return field
    kind = field.type.value_type
    # Arrow cannot cast to views.
    return field.with_type(pa.string() if types.is_string_view(kind) else kind)


def _parquet_schema(path: Path) -> pa.Schema:
    with parquet.ParquetFile(path) as file:
        return file.schema_arrow


def _feather(path: Path) -> pa.Table:
    try:
        return feather.read_table(path, memory_map=True)
    except pa.ArrowInvalid:
        with pa.memory_map(str(path)) as file:
            return ipc.open_stream(file).read_all()


def _json_lines(path: Path) -> pa.Table:
    with text_files.opened(str(path)) as file, file.utf8() as lines:
        content = lines.read()
    try:
        return arrow_json.read_json(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):  # a line is longer than a block
            options = arrow_json.ReadOptions(block_size=len(content) + 1)
            return arrow_json.read_json(pa.BufferReader(content), options)
        # Arrow counts the rows of a block, not of the file.
        reason = _wrong_line(content) or re.sub(" in row .*", "", str(error))
        raise ValueError(reason) from error


def _wrong_line(content: bytes) -> str:
    """Describe the first line that is not a JSON object, or has a value of another type; or ""."""
    kinds = dict[str, str]()
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            return f"line {number} is not JSON: {error}"
        if not isinstance(values, dict):
            return f"line {number} is not a JSON object"
        for key, value in values.items():
            kind = JSON_TYPES.get(type(value), "")
            if kind and kinds.setdefault(key, kind) != kind:
                return f"the key {key!r} holds a {kind} in line {number}, a {kinds[key]} before"
    return ""


READERS: dict[str, Callable[[Path], pa.Table]] = {
    "parquet": _parquet,
    "feather": _feather,
    "jsonl": _json_lines,
    "xlsx": workbooks.read,
}
