"""Strip the cells of a column of surrounding blanks."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tables.cells import Cells, content_of
from pipelines.tables.column_store import stored

# The characters that str.strip removes, and which bytes they begin and end with.
BLANKS = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
BEGINS_BLANK, ENDS_BLANK = (
    np.isin(np.arange(256), [blank.encode()[edge] for blank in BLANKS]) for edge in (0, -1)
)


def stripped(array: pa.ChunkedArray) -> Cells:
    """Strip the cells of blanks, unless they are numbers, which have none; make empty ones null."""
    column = Cells(array)
    if column.floats is not None:
        return column
    parts = [column.encoded.dictionary] if column.is_repetitive else array.chunks
    if all(map(_is_stripped, parts)):
        return column
    return Cells(stored(map(_strip, array.chunks)))


def _is_stripped(cells: pa.Array) -> bool:
    """Whether no cell can have blanks, and each without a character is null."""
    content, ends = content_of(cells)
    starts, ends = ends[:-1], ends[1:]
    filled = ends > starts
    first, last = content[starts[filled]], content[ends[filled] - 1]
    are_null = np.count_nonzero(filled) + cells.null_count == len(cells)
    return are_null and not (BEGINS_BLANK[first].any() or ENDS_BLANK[last].any())


def _strip(chunk: pa.Array) -> pa.Array:
    stripped = pc.utf8_trim(chunk.view(pa.string()), BLANKS)
    empty = pc.equal(pc.binary_length(stripped), 0)
    return pc.if_else(empty, None, stripped).view(pa.binary())
