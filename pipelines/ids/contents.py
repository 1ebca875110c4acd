"""Tables of items or users: their columns, from which a recommender knows new ones.

The ids of training pairs have the first numbers; ids that only such a table has come after them.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.ids.columns import Columns, find_column
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.rows.column_kinds import ColumnDescription, describe_column
from pipelines.rows.column_names import clean_names, rename_columns
from pipelines.rows.reading import Reading, read_features
from pipelines.rows.reading_notes import unused_columns
from pipelines.rows.text_kinds import with_text_kinds
from pipelines.tables.format_inference import infer_formats
from pipelines.tables.identifiers import read_identifiers
from pipelines.tables.table import Table, listed

if TYPE_CHECKING:
    from pipelines.splits import Splits

Side = Literal["user", "item"]
SIDES: tuple[Side, Side] = ("user", "item")


@dataclasses.dataclass(frozen=True, eq=False)
class Content:
    """The columns of items, or of users.

    Attributes:
        ids: UTF-8 bytes, each once, in the order of the table.
        columns: the columns of each id; the targets are 0.
        reading: how the columns are read.
        id_column: the name of the column of ids.
        notes: lines for the user.

    """

    ids: np.ndarray
    columns: Examples
    reading: Reading
    id_column: str
    notes: tuple[str, ...]

    def digest(self) -> str:
        """Return a digest of ids and columns, independent of the order of the table."""
        order = np.argsort(self.ids)
        digest = hashlib.blake2b(repr(self.reading).encode(), digest_size=16)
        digest.update(self.columns.content_hashes()[order].tobytes())
        for name in self.ids[order]:
            digest.update(name + b"\0")
        return digest.hexdigest()

    def describe(self) -> str:
        """Describe the table for the user."""
        return f"{len(self.ids):,} rows; {'; '.join(self.notes)}"

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """Return the row of each id in the columns; -1 for ids that the table lacks."""
        return number_ids(self.ids, ids) - 1


def read_contents(
    addresses: Mapping[Side, str], names: Columns, data_dir: Path | None
) -> dict[str, Content]:
    """Read the tables of items and users at these addresses; an empty address has none."""
    from pipelines import embedded, sources

    tables = {
        side: sources.tables(address, embedded.ratings, data_dir=data_dir).train
        for side, address in addresses.items()
        if address
    }
    return {side: read_content(table, names, side) for side, table in tables.items()}


def read_content(table: Table, names: Columns, side: Side) -> Content:
    """Read a table of items or users.

    Of rows of the same id the last one counts. Raises DataError if there is no column of ids, no
    row with an id, or no column from which anything can be learnt.
    """
    id_column = _id_column(table, names, side)
    table, ids, notes = _distinct_rows(table, id_column, side)
    cleaned = clean_names(table)
    table = rename_columns(table, cleaned)
    columns = {
        name: describe_column(table.columns[name], found)
        for name, found in with_text_kinds(table, infer_formats(table), ()).items()
        if name != cleaned.get(id_column, id_column)
    }
    if all(column.unusable_because for column in columns.values()):
        raise DataError(
            f"Received --{side}s with the columns {listed(table.columns)}, but no column beside "
            f"{id_column!r} from which anything can be learnt ({listed(unused_columns(columns))}); "
            "expected at least one whose values differ, and recur if they are texts."
        )
    reading = Reading.of(columns, cleaned)
    rows = Examples.of(
        read_features(table, reading), np.zeros(len(ids), "float32"), kinds=reading.kinds
    )
    return Content(ids, rows, reading, id_column, (*notes, *_column_notes(columns)))


def _id_column(table: Table, names: Columns, side: Side) -> str:
    try:
        return find_column(table, names, side)
    except DataError as error:
        expected = getattr(names, side) or f"{side}_id"
        raise DataError(
            f"Received --{side}s with the columns {listed(table.columns)}; expected the {side}s "
            f"in a column {expected!r}, as in the ratings. Rename the column in one of the files."
        ) from error


def _distinct_rows(table: Table, id_column: str, side: Side) -> tuple[Table, np.ndarray, list[str]]:
    """Return the last row of each id, the ids, and notes on the others."""
    ids = read_identifiers(table, id_column).cells()
    named = np.flatnonzero(ids != b"")
    # np.unique finds the first of equal ones.
    places = np.unique(number_ids(distinct_ids(ids[named]), ids[named])[::-1], return_index=True)[1]
    rows = named[np.sort(len(named) - 1 - places)]
    if not len(rows):
        raise DataError(
            f"Received --{side}s with {len(table)} rows, none with a {side} in {id_column!r}; "
            "expected some."
        )
    counts = {
        "rows without an id left out": len(ids) - len(named),
        f"repeated {side}s left out, the last row of each is kept": len(named) - len(rows),
    }
    notes = [f"{count} {text}" for text, count in counts.items() if count]
    return table.select(rows), ids[rows], notes


def _column_notes(columns: Mapping[str, ColumnDescription]) -> Iterator[str]:
    used = [name for name, column in columns.items() if not column.unusable_because]
    yield f"columns {listed(used)}"
    if unused := unused_columns(dict(columns)):
        yield f"unused columns: {listed(unused)}"


def trained_ids(splits: "Splits", side: Side) -> np.ndarray:
    """Return the distinct users or items of the training pairs, sorted by bytes."""
    return distinct_ids(splits.train.numpy().features[side])


def known_ids(splits: "Splits", side: Side) -> np.ndarray:
    """Return the ids of the training pairs, then those that only the table of content has."""
    trained = trained_ids(splits, side)
    content = splits.contents.get(side)
    if content is None:
        return trained
    others = content.ids[number_ids(trained, content.ids) == 0]
    return np.concatenate([trained, np.sort(others)])
