"""Pack the columns of a table into one matrix of numbers and one of texts."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Matrix = Literal["numbers", "texts"]
Kind = Literal["number", "time", "clock", "category", "text", "list"]
Kinds = Mapping[str, Kind]  # by column name, in the order of the table
# The matrix of each kind: times are days since 1970, clock times are hours.
MATRICES: dict[Kind, Matrix] = {
    "number": "numbers",
    "time": "numbers",
    "clock": "numbers",
    "category": "texts",
    "text": "texts",
    "list": "texts",
}
ROWS_PER_PART = 2**13  # packed at a time: they stay in the processor's cache
DTYPES: dict[Matrix, str] = {"numbers": "float64", "texts": "string"}  # TensorFlow's names


def pack_columns(
    columns: Iterable[Any], kinds: Kinds, rows: "int | np.ndarray"
) -> dict[str, "np.ndarray"]:
    """Pack columns into `numbers` float64 [rows, n] and `texts` object [rows, m].

    Args:
        columns: arrays, or the distinct cells of a column of texts.
        kinds: the kind of each column.
        rows: the positions of the rows to pack, or the number of all rows.

    """
    # Reading a run.json needs this module but not NumPy.
    import numpy as np

    from pipelines.tables.cells import map_row_parts
    from pipelines.tables.column_store import new_matrix

    count = rows if isinstance(rows, int) else len(rows)
    features = {
        "numbers": new_matrix((count, len(of_matrix(kinds, "numbers")))),
        "texts": np.empty((count, len(of_matrix(kinds, "texts"))), object),
    }
    views = [*zip(unpack_columns(features, kinds).values(), columns, strict=True)]

    def pack(part: slice) -> None:
        source = part if isinstance(rows, int) else rows[part]
        for view, column in views:
            is_distinct = hasattr(column, "codes")
            view[part] = column.values[column.codes[source]] if is_distinct else column[source]

    map_row_parts(pack, count, ROWS_PER_PART)
    return features


def unpack_columns(features: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """Return a view [rows] of each column of packed features by its name, in table order."""
    columns = {matrix: iter(features[matrix].T) for matrix in DTYPES}
    return {name: next(columns[MATRICES[kind]]) for name, kind in kinds.items()}


def of_matrix(kinds: Kinds, matrix: Matrix) -> list[str]:
    """Return the names of the columns of one matrix, in its order."""
    return [name for name, kind in kinds.items() if MATRICES[kind] == matrix]
