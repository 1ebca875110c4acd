"""Occlusion of rows: how much the score falls when a column is replaced by other values."""

import numpy as np

from inference.explanations.row_model import Features, RowModel, repeated, replace_cells
from inference.explanations.score import Score
from pipelines.examples import Examples

MAX_REPLACED_ROWS = 30_000  # predictions for one input, over all columns
MAX_REPLACEMENTS, MIN_REPLACEMENTS = 200, 5  # values of a column that take its place


def num_replacements(num_columns: int) -> int:
    """Return from how many training rows the values of each column are taken."""
    return min(MAX_REPLACEMENTS, max(MIN_REPLACEMENTS, MAX_REPLACED_ROWS // max(1, num_columns)))


def occlusion(model: RowModel, row: Features, score: Score, train: Examples) -> np.ndarray:
    """Return the mean fall of the score when each column takes values of training rows, [columns].

    For a linear model it is the coefficient times the difference from the mean, which is also
    the Shapley value. Columns that can replace each other share their effect, or hide it: each
    column is replaced alone.

    References:
        Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014,
        section 4.2; Robnik-Sikonja and Kononenko, Explaining classifications for individual
        instances, 2008.

    """
    names = [*model.places]
    donors = train.sample(num_replacements(len(names)))
    cells, count = donors.numpy().features, len(donors)
    before = float(score.of(model.outputs(row))[0])
    effects = np.zeros(len(names))
    columns_per_batch = max(1, MAX_REPLACED_ROWS // count)
    for start in range(0, len(names), columns_per_batch):
        block = names[start : start + columns_per_batch]
        changed = repeated(row, len(block) * count)
        for index, name in enumerate(block):
            place = model.places[name]
            rows = slice(index * count, (index + 1) * count)
            replace_cells(changed, place, cells[place.matrix][:, place.column], rows)
        scores = score.of(model.outputs(changed)).reshape(len(block), count)
        effects[start : start + len(block)] = before - scores.mean(1)
    return effects
