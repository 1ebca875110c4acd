"""Convert tables of Arrow, whose columns have types, to the columns of this application."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from pipelines.examples import DataError
from pipelines.tables.blanks import stripped
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.parsed_csv import empty_error, no_rows_error
from pipelines.tables.table import Table, Tables, repeated

MAX_EXACT_INTEGER = 2**53  # float64 holds all integers up to this one
INDEX_COLUMN = "__index_level_0__"  # of pandas
LIST_SEPARATOR = ", "


def tables_of(data: pa.Table, name: str) -> Tables:
    """Convert a table read from the file `name`.

    Numbers and times keep their types. Booleans become the categories true and false, lists
    become texts, and the parts of a structure become columns. Raises DataError if there is no row,
    or no column that can be used.
    """
    data = _flat(data)
    if not data.num_columns:
        raise empty_error(name)
    if not data.num_rows:
        raise no_rows_error(name)
    names, notes = repeated([column.strip() for column in data.column_names])
    columns = {
        column: converted
        for column, array in zip(names, data.columns, strict=True)
        if (converted := _converted(array)) is not None
    }
    lists = {
        column: array
        for column, array in zip(names, data.columns, strict=True)
        if column in columns and (types.is_list(array.type) or types.is_large_list(array.type))
    }
    notes += [
        f"column {column!r} of {field.type} is left out"
        for column, field in zip(names, data.schema, strict=True)
        if column not in columns
    ]
    if not columns:
        raise DataError(
            f"Received {name!r}, whose columns are {', '.join(notes)}; expected numbers, texts, "
            "times or booleans."
        )
    table = Table(columns, name=name, lists=lists)
    return Tables(table, notes=tuple(f"{name}: {note}" for note in notes))


def names_of(schema: pa.Schema) -> list[str]:
    """Return the names of the columns that `tables_of` makes, and of those that it leaves out."""
    return repeated([name.strip() for name in _flat(schema.empty_table()).column_names])[0]


def _flat(data: pa.Table) -> pa.Table:
    while any(types.is_struct(field.type) for field in data.schema):
        data = data.flatten()
    return data.drop_columns(INDEX_COLUMN) if INDEX_COLUMN in data.column_names else data


def _converted(column: pa.ChunkedArray) -> AnyCells | None:
    """Convert a column; None if its type has no cells that a model can read."""
    if types.is_dictionary(column.type):
        return _converted(_decoded(column))
    convert = next((convert for fits, convert in CONVERSIONS if fits(column.type)), None)
    return convert(column) if convert else None


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replace the codes of a dictionary by its values."""
    kind = column.type.value_type
    kind = pa.string() if types.is_string_view(kind) else kind  # Arrow cannot take views
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(kind))
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, pa.dictionary(column.type.index_type, kind)).cast(kind)


def _integers(column: pa.ChunkedArray) -> AnyCells:
    if not column.null_count and column.type != pa.uint64():
        return column.cast(pa.int64()).to_numpy()
    bounds = pc.min_max(column).as_py()
    if max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) <= MAX_EXACT_INTEGER:
        return column.cast(pa.float64()).to_numpy()
    return _texts(column)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    narrow = column.type == pa.float32()
    return column.cast(pa.float32() if narrow else pa.float64(), safe=False).to_numpy()


def _times(column: pa.ChunkedArray) -> np.ndarray:
    zone = getattr(column.type, "tz", None)
    in_utc = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.timestamp("us"))
    return in_utc.to_numpy().astype("datetime64[us]")


def _seconds(column: pa.ChunkedArray) -> np.ndarray:
    micros = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return micros.cast(pa.float64()).to_numpy() / 1e6


def _texts(column: pa.ChunkedArray) -> Cells:
    chunks = [chunk.view(pa.binary()) for chunk in column.cast(pa.string()).chunks]
    return stripped(pa.chunked_array(chunks, pa.binary()))


def _lists(column: pa.ChunkedArray) -> Cells | None:
    values = column.type.value_type
    values = values.value_type if types.is_dictionary(values) else values
    if types.is_nested(values) or types.is_binary(values):
        return None
    chunks = [
        pc.binary_join(chunk.cast(pa.list_(pa.string())), LIST_SEPARATOR) for chunk in column.chunks
    ]
    return _texts(pa.chunked_array(chunks, pa.string()))


CONVERSIONS: tuple[tuple[Callable[[pa.DataType], bool], Callable], ...] = (
    (types.is_boolean, _texts),
    (types.is_integer, _integers),
    (types.is_floating, _floats),
    (types.is_decimal, _floats),
    (types.is_timestamp, _times),
    (types.is_date, _times),
    (types.is_duration, _seconds),
    (types.is_time, _texts),
    (types.is_null, _texts),
    (types.is_string, _texts),
    (types.is_large_string, _texts),
    (types.is_string_view, _texts),
    (types.is_list, _lists),
    (types.is_large_list, _lists),
)
