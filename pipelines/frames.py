"""Store data frames and arrays in files, so that they can be given in place of a data address.

A table becomes a Feather file and images become an .npz archive, named by the digest of its
content, in the user's state directory. A run names that file, so another process can evaluate,
resume and replay it. Nothing here imports pandas or polars.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.examples import DataError
from pipelines.files import atomic_write, state_directory

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

DATA_FOLDER = "data"  # in the state directory
EXPECTED = "expected a data frame, a dict of columns, a list of dicts, or images and labels (x, y)"
ARROW_STREAM = "__arrow_c_stream__"  # a method of polars and others
SCALARS = (str, int, float)
MISSING = {"NAType", "NaTType"}  # pandas.NA and pandas.NaT


def is_data(value: Any) -> bool:
    """Whether a value is a frame or arrays, not an address or another plain value."""
    containers = (Mapping, list, tuple)
    return isinstance(value, containers) or hasattr(value, "columns") or hasattr(value, "ndim")


def store_as_address(data: Any, kinds: Collection[str]) -> str:
    """Write a frame or arrays to a file, unless it exists, and return its address.

    Args:
        data: a frame of pandas or polars, a dict of columns or a list of dicts; or images with
            their labels, as (x, y) or a dict such as {"x_train": ..., "y_train": ...}.
        kinds: the kinds of addresses that the app reads.

    Raises:
        DataError: for other data, and for data that the app does not read.

    """
    arrays = _arrays(data)
    kind = "feather" if arrays is None else "npz"
    if kind not in kinds:
        received = "a table" if arrays is None else "arrays of images"
        remedy = "class folders, as 'folder:PATH'" if "folder" in kinds else "a data frame"
        raise DataError(f"Received {received} as data; expected {remedy}.")
    if arrays is None:
        table = arrow_table(data)
        return f"feather:{store_by_digest('.feather', lambda path: _write_feather(table, path))}"
    return f"npz:{store_by_digest('.npz', lambda path: _write_arrays(arrays, path))}"


def write_table(data: Any, path: Path) -> "np.ndarray":
    """Write the rows of a frame that have a value as a Feather file; return their numbers, from 0.

    Raises DataError.
    """
    import numpy as np

    table = arrow_table(data)
    known = np.zeros(table.num_rows, bool)
    for column in table.columns:
        known |= np.asarray(column.is_valid())
    rows = np.flatnonzero(known)
    with atomic_write(path) as temporary:
        _write_feather(table if known.all() else table.take(rows), temporary)
    return rows


def _write_feather(table: "pa.Table", path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(table, str(path), compression="lz4")


def arrow_table(data: Any) -> "pa.Table":
    """Return a frame as a table of Arrow, without its index.

    Columns keep their types. A column of values of several types becomes one of texts, and
    booleans become the texts True and False. Raises DataError if it is not a table.
    """
    import pyarrow as pa

    table = _typed_table(data)
    if table is None:
        table = pa.table({name: _array(values, name) for name, values in columns(data).items()})
    for position, field in enumerate(table.schema):
        if pa.types.is_boolean(field.type):
            words = [_words(chunk) for chunk in table.column(position).chunks]
            table = table.set_column(
                position, str(field.name), pa.chunked_array(words, pa.string())
            )
    return table.rename_columns(
        [str(name) for name in table.column_names]
    ).replace_schema_metadata()


def _typed_table(data: Any) -> "pa.Table | None":
    """Return a frame of pandas, polars or Arrow as a table; None for others and mixed types."""
    import pyarrow as pa

    if not hasattr(data, "columns") or not (hasattr(data, "iloc") or hasattr(data, ARROW_STREAM)):
        return None
    names = data.column_names if isinstance(data, pa.Table) else [*data.columns]
    _require_distinct([str(name) for name in names])
    try:
        if hasattr(data, "iloc"):  # pandas, whose stream would hold the index
            return pa.Table.from_pandas(data, preserve_index=False)
        return pa.table(data)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None


def _words(booleans: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.if_else(booleans, "True", "False")


def _array(values: Any, name: str) -> "pa.Array":
    """Return the values of a column as an array of one type: of texts if they have several."""
    import pyarrow as pa

    try:
        array = pa.array(values, from_pandas=True)
        if not pa.types.is_struct(array.type) and not pa.types.is_binary(array.type):
            return array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    return pa.array([_cell(value, name) or None for value in values], pa.string())


def columns(data: Any) -> dict[str, Any]:
    """Return the columns of a table by name. Raises DataError if it is not a table."""
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        keys = dict.fromkeys(name for row in data for name in row)
        data = {name: [row.get(name) for row in data] for name in keys}
    names = list(data.columns if hasattr(data, "columns") else data if _is_dict(data) else [])
    if not names:
        raise DataError(f"Received {type(data).__name__} as data; {EXPECTED}.")
    _require_distinct([str(name) for name in names])
    table = {str(name): _values(data[name]) for name in names}
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"Received columns of different lengths, {lengths}; expected equal ones.")
    return table


def _require_distinct(names: list[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"Received the column {repeated[0]!r} twice; expected different names.")


def _is_dict(data: Any) -> bool:
    return isinstance(data, Mapping)


def _values(column: Any) -> Any:
    """Return a column as an array of NumPy or as a list."""
    if hasattr(column, "dtype") and hasattr(column, "ndim") and not hasattr(column, "iloc"):
        return column
    for method in ("to_list", "tolist"):  # of polars and pandas; of others
        if hasattr(column, method):
            return getattr(column, method)()
    return list(column)


def _cell(value: Any, name: str) -> str:
    """Return a value of a column of several types as a text; "" if it is missing."""
    if hasattr(value, "item") and not hasattr(value, "columns"):
        value = value.item()
    if value is None or type(value).__name__ in MISSING or value != value:
        return ""
    if isinstance(value, SCALARS):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat(" ") if hasattr(value, "hour") else value.isoformat()
    if type(value).__name__ == "Decimal":
        return str(value)
    raise DataError(
        f"Received a {type(value).__name__} in the column {name!r}; expected numbers, texts, dates "
        "or missing values."
    )


def _arrays(data: Any) -> dict[str, Any] | None:
    """Return images and labels by name; None for a table."""
    if isinstance(data, list | tuple) and len(data) == 2 and hasattr(data[0], "ndim"):
        data = {"x": data[0], "y": data[1]}
    if _is_dict(data) and any(getattr(value, "ndim", 1) > 1 for value in data.values()):
        return dict(data)
    return None


def _write_arrays(arrays: dict[str, Any], path: Path) -> None:
    import numpy as np

    converted = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in converted.items():
        if array.dtype == object:
            if not all(isinstance(value, str) for value in array.flat):
                raise DataError(f"Received objects in {name!r}; expected numbers or texts.")
            converted[name] = array.astype(str)
    with path.open("wb") as file:
        np.savez(file, **converted)  # type: ignore[arg-type]


def store_by_digest(suffix: str, write: Callable[[Path], object]) -> Path:
    """Write a file named by the digest of its content; equal content is stored once."""
    folder = state_directory() / DATA_FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f".{os.getpid()}-new{suffix}"
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8))
        path = folder / f"{digest.hexdigest()}{suffix}"
        temporary.replace(path)
        return path
    finally:
        temporary.unlink(missing_ok=True)
