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
DTYPES: dict[Matrix, str] = {"numbers": "float64", "texts": "string"}  # TensorFlow's names


def pack_columns(
    columns: Iterable["np.ndarray"], kinds: Kinds, rows: int
) -> dict[str, "np.ndarray"]:
    """Pack columns [rows] into `numbers` float64 [rows, n] and `texts` object [rows, m].

    `columns` may be a generator: only one column is in memory besides the matrices.
    """
    # Reading a run.json needs this module but not NumPy.
    import numpy as np

    features = {
        "numbers": np.empty((rows, len(of_matrix(kinds, "numbers"))), "float64"),
        "texts": np.empty((rows, len(of_matrix(kinds, "texts"))), object),
    }
    for view, column in zip(unpack_columns(features, kinds).values(), columns, strict=True):
        view[:] = column
    return features


def unpack_columns(features: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """Return a view [rows] of each column of packed features by its name, in table order."""
    columns = {matrix: iter(features[matrix].T) for matrix in DTYPES}
    return {name: next(columns[MATRICES[kind]]) for name, kind in kinds.items()}


def of_matrix(kinds: Kinds, matrix: Matrix) -> list[str]:
    """Return the names of the columns of one matrix, in its order."""
    return [name for name, kind in kinds.items() if MATRICES[kind] == matrix]
