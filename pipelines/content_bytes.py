"""Write the features of each example as bytes, from which its content hash is computed."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np


def row_bytes(columns: list[np.ndarray]) -> Iterable[Any]:
    """Return the bytes of each row, with the length of each cell if there are several columns.

    With lengths ("ab", "c") differs from ("a", "bc").
    """
    columns = [vector for column in columns for vector in _columns_of(column)]
    if len(columns) == 1:
        (column,) = columns
        texts = column.dtype == object
        return column if texts else np.ascontiguousarray(column.reshape(len(column), -1))
    parts: list[list[bytes]] = []
    for texts, group in itertools.groupby(columns, lambda column: column.dtype == object):
        adjacent = list(group)
        parts += map(_texts_with_length, adjacent) if texts else [_numbers_with_length(adjacent)]
    return map(b"".join, zip(*parts, strict=True))


def _columns_of(column: np.ndarray) -> Iterable[np.ndarray]:
    """Split a matrix of texts into its columns; return other arrays as they are."""
    return column.T if column.dtype == object and column.ndim == 2 else [column]


def _texts_with_length(column: np.ndarray) -> list[bytes]:
    encoded = {text: b"%d:%b" % (len(text), text) for text in set(column)}
    return [encoded[text] for text in column]


def _numbers_with_length(columns: list[np.ndarray]) -> list[bytes]:
    """Return the bytes of each row of adjacent number columns."""
    pieces = []
    for column in columns:
        data = np.ascontiguousarray(column).reshape(len(column), -1).view("uint8")
        length = np.frombuffer(b"%d:" % data.shape[1], "uint8")
        pieces += [np.broadcast_to(length, (len(column), len(length))), data]
    rows = np.concatenate(pieces, axis=1)
    memory, width = rows.tobytes(), rows.shape[1]
    return [memory[start : start + width] for start in range(0, len(memory), width)]
