"""Store data frames and arrays in files, so that they can be given in place of a data address.

A table becomes a CSV file and images become an .npz archive, named by the digest of its
content, in the user's state directory. A run names that file, so another process can evaluate,
resume and replay it. Nothing here imports pandas or polars.
"""

import csv
import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from pipelines.examples import DataError
from pipelines.files import atomic_write, state_directory

DATA_FOLDER = "data"  # in the state directory
FIRST_LINE = 3  # of the rows in the file of a table, after the separator and the names
EXPECTED = "expected a data frame, a dict of columns, a list of dicts, or images and labels (x, y)"
SCALARS = (str, int, float)
MISSING = {"NAType", "NaTType"}  # pandas.NA and pandas.NaT
LINE_BREAK = re.compile(r"\r\n?|[\n\v\f\x1c-\x1e\x85\u2028\u2029]")


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
    kind = "csv" if arrays is None else "npz"
    if kind not in kinds:
        received = "a table" if arrays is None else "arrays of images"
        remedy = "class folders, as 'folder:PATH'" if "folder" in kinds else "a data frame"
        raise DataError(f"Received {received} as data; expected {remedy}.")
    if arrays is None:
        return f"csv:{store_by_digest('.csv', lambda path: write_table(data, path))}"
    return f"npz:{store_by_digest('.npz', lambda path: _write_arrays(arrays, path))}"


def write_table(data: Any, path: Path) -> list[int]:
    """Write a frame as a CSV file from which the same numbers are read.

    A line break within a cell becomes a blank, because a line is a row. Rows without any value
    will not be read; returns the numbers, from 0, of the others. Raises DataError.
    """
    table = columns(data)
    with (
        atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace") as file,
    ):
        file.write("sep=,\n")  # no guess of the separator; the first name may begin with #
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LINE_BREAK.sub(" ", name) for name in table)
        cells = [[_cell(value, name) for value in column] for name, column in table.items()]
        rows = list(zip(*cells, strict=True))
        writer.writerows(rows)
    return [number for number, row in enumerate(rows) if any(map(str.strip, row))]


def columns(data: Any) -> dict[str, list[Any]]:
    """Return the columns of a frame by name. Raises DataError if it is not a table."""
    if hasattr(data, "to_pydict"):  # pyarrow
        data = data.to_pydict()
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        keys = dict.fromkeys(name for row in data for name in row)
        data = {name: [row.get(name) for row in data] for name in keys}
    names = list(data.columns if hasattr(data, "columns") else data if _is_dict(data) else [])
    if not names:
        raise DataError(f"Received {type(data).__name__} as data; {EXPECTED}.")
    if repeated := sorted({str(name) for name in names if names.count(name) > 1}):
        raise DataError(f"Received the column {repeated[0]!r} twice; expected different names.")
    table = {str(name): _values(data[name]) for name in names}
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"Received columns of different lengths, {lengths}; expected equal ones.")
    return table


def _is_dict(data: Any) -> bool:
    return isinstance(data, Mapping)


def _values(column: Any) -> list[Any]:
    if getattr(getattr(column, "dtype", None), "kind", "") == "M" and hasattr(column, "tolist"):
        import numpy as np

        column = np.asarray(
            column, "datetime64[us]"
        )  # `tolist` would turn nanoseconds into integers
    for method in ("to_list", "tolist"):  # of polars and pandas; of NumPy
        if hasattr(column, method):
            return getattr(column, method)()
    return list(column)


def _cell(value: Any, name: str) -> str:
    if hasattr(value, "item") and not hasattr(value, "columns"):
        value = value.item()
    if value is None or type(value).__name__ in MISSING or value != value:
        return ""
    if isinstance(value, float):
        text = repr(value)
        # A further digit: 1.234 could be a thousand, 1.2340 cannot.
        return text + "0" * (len(text.partition(".")[2]) == 3)
    if isinstance(value, SCALARS):
        return LINE_BREAK.sub(" ", str(value))
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
