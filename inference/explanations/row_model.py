"""Rows with replaced cells, and the predictions of a run for them."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from apps.regression.trees import TREES
from inference.modalities.rows import kinds_of, prepare_of, reading_of
from inference.model_outputs import compiled
from inference.portable import tail_model
from pipelines.rows.packing import DTYPES, MATRICES, unpack_columns
from pipelines.tables.cell_formats import format_number
from training.run import Run

MAX_BATCH_ROWS = 8192
Features = dict[str, np.ndarray]


class Place(NamedTuple):
    """Where a column lies in packed features."""

    matrix: str
    column: int


class RowModel:
    """The model of a run, for explanations that change cells.

    Attributes:
        run: the run.
        places: where each column lies, by its name in the model.
        titles: the name of each column in the user's table.

    """

    def __init__(self, run: Run) -> None:
        self.run = run
        counters = dict.fromkeys(DTYPES, 0)
        self.places: dict[str, Place] = {}
        for name, kind in kinds_of(run).items():
            matrix = MATRICES[kind]
            self.places[name] = Place(matrix, counters[matrix])
            counters[matrix] += 1
        self.reading = reading_of(run)
        stored = {name: title for title, name in self.reading.names.items()}
        self.titles = {name: stored.get(name, name) for name in self.places}
        self._predict = compiled(run.model)

    def outputs(self, features: Features) -> np.ndarray:
        """Return the model's outputs of packed rows, [n, ...]."""
        count = len(features["numbers"])
        parts = [
            np.asarray(self._predict(_rows(features, slice(start, start + MAX_BATCH_ROWS))))
            for start in range(0, max(count, 1), MAX_BATCH_ROWS)
        ]
        return np.concatenate(parts)

    @functools.cached_property
    def preparation(self) -> Any:
        """The preprocessing layer."""
        return prepare_of(self.run.model)

    @functools.cached_property
    def tail(self) -> Any:
        """The model after the preprocessing, a function of its output."""
        return tail_model(self.run.model, self.preparation)

    def prepared(self, features: Features) -> dict[str, np.ndarray]:
        """Return the inputs of the network: `numbers` and `flags`."""
        return {name: part.numpy() for name, part in self.preparation(features).items()}

    def vectors(self, features: Features) -> np.ndarray:
        """Return the inputs of the network side by side, [n, d]."""
        return np.concatenate([*self.prepared(features).values()], 1)

    @functools.cached_property
    def has_trees(self) -> bool:
        """Whether a part of the model consists of trees, which have no gradient."""
        return any(layer.name == TREES for layer in _all_layers(self.run.model))

    def cell(self, name: str, value: Any) -> Any:
        """Return a cell for people: a number, or a text; None if it is missing."""
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if np.isnan(value):
            return None
        form = self.reading.forms[name]
        return float(value) if form.kind == "number" else format_number(float(value), form)

    def cells(self, row: Features) -> dict[str, Any]:
        """Return all cells of one packed row for people, by title."""
        columns = unpack_columns(row, self.reading.kinds)
        return {self.titles[name]: self.cell(name, column[0]) for name, column in columns.items()}


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _all_layers(layer)


def _rows(features: Features, part: Any) -> Features:
    return {name: matrix[part] for name, matrix in features.items()}


def row_at(features: Features, position: int) -> Features:
    """Return one row, still packed."""
    return _rows(features, slice(position, position + 1))


def repeated(features: Features, times: int) -> Features:
    """Return the rows one after the other, each `times` times."""
    return {name: np.repeat(matrix, times, 0) for name, matrix in features.items()}


def replace_cells(features: Features, place: Place, values: Any, rows: Any = slice(None)) -> None:
    """Write cells of one column in place."""
    features[place.matrix][rows, place.column] = values
