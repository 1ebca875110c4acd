"""Join the tables of several files, whose columns have to agree."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import types

from pipelines.examples import DataError
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.table import Table, Tables, listed


def join_tables(parts: Sequence[Tables]) -> Tables:
    """Join tables of texts. Raises DataError if their columns have different names."""
    first, *others = (part.train for part in parts)
    for table in others:
        _require_names(table.name, [*table.columns], first.name, [*first.columns])
    tables = [first, *others]
    columns = {name: _joined(table.columns[name] for table in tables) for name in first.columns}
    joined = Table(
        columns,
        name=f"{first.name} and {len(others)} more",
        lines=np.concatenate([table.lines for table in tables]),
        separator=first.separator,
        files=tuple(table.name for table in tables),
        file_of_row=np.repeat(np.arange(len(tables)), [len(table) for table in tables]),
    )
    return Tables(joined, notes=tuple(note for part in parts for note in part.notes))


def _joined(columns: Iterable[AnyCells]) -> Cells:
    cells = (column for column in columns if isinstance(column, Cells))  # as all of a CSV file are
    chunks = [chunk for column in cells for chunk in column.array.chunks]
    return Cells(pa.chunked_array(chunks, pa.binary()))


def join_typed(names: Sequence[str], parts: Sequence[pa.Table]) -> pa.Table:
    """Join tables of Arrow. Raises DataError if their columns have different names or types."""
    first, *others = parts
    for name, part in zip(names[1:], others, strict=True):
        _require_names(Path(name).name, part.column_names, Path(names[0]).name, first.column_names)
        for field in part.schema:
            expected = first.schema.field(field.name).type
            if _family(field.type) not in (_family(expected), "null"):
                raise DataError(
                    f"Received {Path(name).name!r}, whose column {field.name!r} holds "
                    f"{field.type}; expected {expected}, as in {Path(names[0]).name!r}. Give "
                    "files with the same columns."
                )
    return pa.concat_tables([first, *others], promote_options="permissive")


def _family(kind: pa.DataType) -> str:
    """Return the same text for types that one column may mix, such as int64 and double."""
    if types.is_dictionary(kind):
        return _family(kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    return str(kind)


def _require_names(name: str, columns: Sequence[str], first: str, expected: Sequence[str]) -> None:
    missing = [column for column in expected if column not in columns]
    if missing or len(columns) != len(expected):
        more = [column for column in columns if column not in expected]
        problem = (
            f"without the column {missing[0]!r}" if missing else f"with the column {more[0]!r} more"
        )
        raise DataError(
            f"Received {name!r} {problem}; expected the columns of {first!r}, {listed(expected)}. "
            "Give files with the same columns."
        )
