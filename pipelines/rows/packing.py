"""Pack the columns of a table into one matrix of numbers and one of texts."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["number", "category"]
Kinds = Mapping[str, Kind]  # by column name, in the order of the table
MATRICES: dict[Kind, str] = {"number": "numbers", "category": "texts"}
DTYPES = {"numbers": "float64", "texts": "string"}  # TensorFlow's names


def pack_columns(
    columns: Iterable["np.ndarray"], kinds: Kinds, rows: int
) -> dict[str, "np.ndarray"]:
    """Pack columns [rows] into `numbers` float64 [rows, n] and `texts` object [rows, m].

    `columns` may be a generator: only one column is in memory besides the matrices.
    """
    # Reading a run.json needs this module but not NumPy.
    import numpy as np

    features = {
        "numbers": np.empty((rows, len(of_kind(kinds, "number"))), "float64"),
        "texts": np.empty((rows, len(of_kind(kinds, "category"))), object),
    }
    for view, column in zip(unpack_columns(features, kinds).values(), columns, strict=True):
        view[:] = column
    return features


def unpack_columns(features: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """Return a view [rows] of each column of packed features by its name, in table order."""
    columns = {kind: iter(features[matrix].T) for kind, matrix in MATRICES.items()}
    return {name: next(columns[kind]) for name, kind in kinds.items()}


def of_kind(kinds: Kinds, kind: Kind) -> list[str]:
    """Return the names of the columns of one kind, in the order of their matrix."""
    return [name for name, other in kinds.items() if other == kind]
