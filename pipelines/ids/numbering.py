"""Number ids of users or items, which are object arrays of UTF-8 bytes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def distinct_ids(column: np.ndarray) -> np.ndarray:
    """Return the distinct ids, sorted by bytes."""
    distinct = pc.unique(to_arrow(column)).to_numpy(zero_copy_only=False)
    return np.sort(distinct)


def number_ids(known: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return the number of each id, from 1; 0 for unknown ids."""
    numbers = pc.index_in(to_arrow(column), value_set=to_arrow(known))
    return numbers.fill_null(-1).to_numpy(zero_copy_only=False) + np.int32(1)


def to_arrow(column: np.ndarray) -> pa.Array:
    """Return ids, an object array of bytes, as an array of Arrow."""
    return pa.array(column, pa.large_binary())


def encode_id(name: str) -> bytes:
    """Return the bytes of an id."""
    return name.encode("utf-8", "surrogateescape")
