"""Columns of a table by kind: one matrix of numbers, one of texts, however many columns."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["number", "category"]
Kinds = Mapping[str, Kind]  # of each column by its name, in the order of the table
MATRICES: dict[Kind, str] = {"number": "numbers", "category": "texts"}
DTYPES = {"numbers": "float64", "texts": "string"}  # as TensorFlow calls them


def packed(columns: Iterable["np.ndarray"], kinds: Kinds, rows: int) -> dict[str, "np.ndarray"]:
    """`numbers` float64 [rows, n] and `texts` object [rows, m] of columns [rows], one a kind.

    Columns may be made one after the other: no more than one is held beside the matrices.
    """
    # Whoever reads a run.json needs the kinds, and no arrays.
    import numpy as np

    found = {
        "numbers": np.empty((rows, len(of_kind(kinds, "number"))), "float64"),
        "texts": np.empty((rows, len(of_kind(kinds, "category"))), object),
    }
    for place, column in zip(unpacked(found, kinds).values(), columns, strict=True):
        place[:] = column
    return found


def unpacked(features: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """By name a view [rows] of each column of what `packed` gives, in the order of the table."""
    columns = {kind: iter(features[matrix].T) for kind, matrix in MATRICES.items()}
    return {name: next(columns[kind]) for name, kind in kinds.items()}


def of_kind(kinds: Kinds, kind: Kind) -> list[str]:
    """The names of the columns of one kind, in the order of their matrix."""
    return [name for name, one in kinds.items() if one == kind]
