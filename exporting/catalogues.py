"""Changes the recommended items of a run without training."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from inference.inputs import read_table
from inference.modalities.item_scores import ids_of, recommending_only
from pipelines.examples import DataError
from pipelines.ids.columns import DEFAULT_NAMES, Columns, find_column
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
    wanted = _items(run, items)
    ids = ids_of(run.model)
    known = set(ids.items)
    known_items, unknown = [name for name in wanted if name in known], sorted(wanted - known)
    if not known_items:
        raise DataError(
            f"Received --refresh-items {str(items)!r} with {len(wanted)} items, none of them known "
            f"from training, such as {_named(unknown)}; expected some that are, such as "
            f"{_named(list(ids.items))}. Train again to learn new ones."
        )
    notes = [f"{len(known_items)} of {len(ids.items)} items are recommended"]
    if unknown:
        notes.append(
            f"{len(unknown)} items are not in the training data and are left out: {_named(unknown)}"
        )
    with recommending_only(run.model, set(known_items)):
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
    return ", ".join(items[:MAX_NAMED_ITEMS]) + (", ..." if len(items) > MAX_NAMED_ITEMS else "")
