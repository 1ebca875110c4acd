"""What a recommender offers, changed without training."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from inference.inputs import read_table
from inference.modalities.item_scores import ids_of, recommending_only
from pipelines.examples import DataError
from pipelines.ids.columns import DEFAULT_NAMES, Columns, find_column
from pipelines.tables.table import listed
from training.run import Run

NAMED = 5


@contextlib.contextmanager
def refreshed(run: Run, items: Path | None) -> Iterator[list[str]]:
    """Meanwhile the run recommends the items of a CSV file alone; gives notes of what was done.

    The file has the column of items that the data of training had, or a single one. Items
    that training did not know are left out, for the model knows nothing by which to place
    them; `rating` answers them by the user's mean, as ever. Raises DataError where no item
    is known.
    """
    if items is None:
        yield []
        return
    wanted = _items(run, items)
    ids = ids_of(run.model)
    known = set(ids.items)
    kept, strange = [name for name in wanted if name in known], sorted(wanted - known)
    if not kept:
        raise DataError(
            f"Received --refresh-items {str(items)!r} with {len(wanted)} items, none of them known "
            f"from training, such as {_named(strange)}; expected some that are, such as "
            f"{_named(list(ids.items))}. Train again to learn new ones."
        )
    notes = [f"{len(kept)} of {len(ids.items)} items are recommended"]
    if strange:
        notes.append(
            f"{len(strange)} items that training did not know are left out: {_named(strange)}"
        )
    with recommending_only(run.model, set(kept)):
        yield notes


def _items(run: Run, path: Path) -> set[str]:
    read = read_table(str(path))
    names = list(read.columns)
    wanted = run.manifest["reading"]["item"]
    try:
        name = names[0] if len(names) == 1 else find_column(read, Columns(item=wanted), "item")
    except DataError as error:
        raise DataError(
            f"Received --refresh-items {str(path)!r} with the columns {listed(names)}; expected "
            f"the items in {wanted or DEFAULT_NAMES.item.split()[1]!r}, as in training, or in the "
            "only one."
        ) from error
    return {cell.decode("utf-8", "surrogateescape") for cell in read.columns[name]} - {""}


def _named(items: list[str]) -> str:
    return ", ".join(items[:NAMED]) + (", ..." if len(items) > NAMED else "")
