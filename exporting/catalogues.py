"""Change the items that a run recommends, without training."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inference.inputs import read_table
from inference.modalities.item_scores import (
    LearnsItems,
    ids_of,
    item_learner_of,
    recommending_only,
    with_new_items,
)
from pipelines.examples import DataError
from pipelines.ids.columns import DEFAULT_NAMES, Columns, find_column
from pipelines.rows.reading import read_features
from pipelines.tables.identifiers import read_identifiers
from pipelines.tables.table import Table, listed
from training.run import Run

MAX_NAMED_ITEMS = 5


class _Requested(NamedTuple):
    """The items of a file: the name of each row, "" for none, and the table."""

    names: list[str]
    table: Table


@contextlib.contextmanager
def with_items(run: Run, items: Path | None) -> Iterator[list[str]]:
    """Recommend only the items of a file within this context; yields notes for the user.

    The file has the item column of the training data, or a single column. A run that was trained
    with a table of items knows new ones by their content, if the file has the same columns.
    Otherwise items that are not in the training data are left out; `rating` still returns the
    user's mean for them. Raises DataError if no item is known.
    """
    if items is None:
        yield []
        return
    requested = _read_items(run, items)
    known, new = set(ids_of(run.model).items), dict.fromkeys(requested.names)
    new = {name: None for name in new if name and name not in known}
    notes, before = [], {name: getattr(run, name) for name in ("model", "samples")}
    learner = item_learner_of(run.model)
    try:
        if new and learner and len(requested.table.columns) > 1:
            notes.append(f"{len(new)} new items are known by their content: {_named([*new])}")
            run.remember(model=_with_new_items(run, learner, requested, [*new]))
            answers = np.asarray(run.model(before["samples"].raw, training=False))
            run.remember(samples=before["samples"]._replace(answers=answers))
            new = {}
        with recommending_only(run.model, _known(run, items, requested, [*new], notes)):
            yield notes
    finally:
        run.remember(**before)


def _known(
    run: Run, path: Path, requested: _Requested, unknown: list[str], notes: list[str]
) -> set[str]:
    """Return the items to recommend, and note how many. Raises DataError if there is none."""
    items = ids_of(run.model).items
    known = set(requested.names) & set(items)
    if not known:
        raise DataError(
            f"Received --refresh-items {str(path)!r} with {len(unknown)} items, none of them "
            f"known from training, such as {_named(unknown)}; expected some that are, such as "
            f"{_named(list(items))}. Train again to learn new ones."
        )
    notes.append(f"{len(known)} of {len(items)} items are recommended")
    if unknown:
        notes.append(
            f"{len(unknown)} items are not in the training data and are left out: "
            f"{_named(sorted(unknown))}"
        )
    return known


def _with_new_items(run: Run, learner: LearnsItems, requested: _Requested, new: list[str]) -> Any:
    """Return the model with new items. Raises DataError if the file lacks a column of training."""
    # Of rows of the same item the last one counts.
    row_of = {name: row for row, name in enumerate(requested.names)}
    table = requested.table.select(np.array([row_of[name] for name in new]))
    reading = learner.contents["item"].cell_reading()
    return with_new_items(run.model, learner, new, read_features(table, reading))


def _read_items(run: Run, path: Path) -> _Requested:
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
    cells = read_identifiers(table, name).cells()
    return _Requested([cell.decode("utf-8", "surrogateescape") for cell in cells], table)


def _named(items: list[str]) -> str:
    return ", ".join(items[:MAX_NAMED_ITEMS]) + (", ..." if len(items) > MAX_NAMED_ITEMS else "")
