"""Change the items that a run recommends, without training."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from inference.inputs import read_table
from inference.modalities.item_scores import ids_of, recommending_only
from pipelines.examples import DataError
from pipelines.ids.columns import DEFAULT_NAMES, Columns, find_column
from pipelines.labels import cells_as_bytes
from pipelines.tables.table import listed
from training.run import Run

MAX_NAMED_ITEMS = 5


@contextlib.contextmanager
def with_items(run: Run, items: Path | None) -> Iterator[list[str]]:
    """Recommend only the items of a CSV file within this context; yields notes for the user.

    The file has the item column of the training data, or a single column. Items that are not in
    the training data are left out, because the model cannot score them; `rating` still returns the
    user's mean for them. Raises DataError if no item is known.
    """
    if items is None:
        yield []
        return
    requested = _read_items(run, items)
    ids = ids_of(run.model)
    known, unknown = requested & set(ids.items), sorted(requested - set(ids.items))
    if not known:
        raise DataError(
            f"Received --refresh-items {str(items)!r} with {len(requested)} items, none of them "
            f"known from training, such as {_named(unknown)}; expected some that are, such as "
            f"{_named(list(ids.items))}. Train again to learn new ones."
        )
    notes = [f"{len(known)} of {len(ids.items)} items are recommended"]
    if unknown:
        notes.append(
            f"{len(unknown)} items are not in the training data and are left out: {_named(unknown)}"
        )
    with recommending_only(run.model, known):
        yield notes


def _read_items(run: Run, path: Path) -> set[str]:
    table = read_table(str(path))
    names = list(table.columns)
    item_column = run.manifest["reading"]["item"]
    try:
        name = (
            names[0] if len(names) == 1 else find_column(table, Columns(item=item_column), "item")
        )
    except DataError as error:
        raise DataError(
            f"Received --refresh-items {str(path)!r} with the columns {listed(names)}; expected "
            f"the items in {item_column or DEFAULT_NAMES.item.split()[1]!r}, as in training, or in "
            "the only one."
        ) from error
    cells = cells_as_bytes(table.columns[name])
    return {cell.decode("utf-8", "surrogateescape") for cell in cells} - {""}


def _named(items: list[str]) -> str:
    return ", ".join(items[:MAX_NAMED_ITEMS]) + (", ..." if len(items) > MAX_NAMED_ITEMS else "")
