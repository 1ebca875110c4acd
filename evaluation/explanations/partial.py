"""Partial dependence of a model on one column, and Friedman's H-statistic of two columns."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from inference.explanations.row_model import Features, RowModel, repeated, replace_cells
from inference.explanations.score import Score
from pipelines.examples import Examples

MAX_CURVE_ROWS = 100  # test rows whose curves are drawn and averaged
MAX_GRID_POINTS = 20  # values of a number
MAX_CATEGORIES = 10  # values of a text column, the most frequent ones
GRID_QUANTILES = (0.02, 0.98)  # the range of these numbers
MAX_INTERACTION_ROWS = 100  # test rows at which, and over which, dependence is averaged


class PartialDependence(NamedTuple):
    """How outputs depend on a column.

    Attributes:
        name: of the column.
        values: that the column takes, numbers or texts.
        curves: outputs of each row with each value (individual conditional expectations),
            [rows, values, outputs].

    """

    name: str
    values: np.ndarray
    curves: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """The partial dependence: the mean over rows, [values, outputs]."""
        return self.curves.mean(0)


class Interaction(NamedTuple):
    """The interaction of two columns in a model.

    Attributes:
        names: of the columns.
        h: the share of their joint effect's deviation that is no sum of two effects, from 0.
        strength: the root mean square of that part, on the scale of the score.

    """

    names: tuple[str, str]
    h: float
    strength: float


def partial_dependence(
    model: RowModel, name: str, train: Examples, test: Examples
) -> PartialDependence | None:
    """Give a column each value of a grid in test rows, and predict.

    Returns None for columns of free texts or lists, and for those with fewer than two values.

    References:
        Friedman, Greedy function approximation, 2001, section 8.2; Goldstein et al., Peeking
        inside the black box (individual conditional expectation), 2015.

    """
    place = model.places[name]
    if model.reading.kinds[name] in ("text", "list"):
        return None
    values = _grid(train.columns[name][train.rows], is_text=place.matrix == "texts")
    if len(values) < 2:
        return None
    rows = test.sample(MAX_CURVE_ROWS).numpy().features
    count = len(rows["numbers"])
    changed = repeated(rows, len(values))
    replace_cells(changed, place, np.tile(values, count))
    outputs = model.outputs(changed)
    return PartialDependence(name, values, outputs.reshape(count, len(values), -1))


def _grid(column: np.ndarray, *, is_text: bool) -> np.ndarray:
    """Return values of training rows: quantiles of numbers, the most frequent texts."""
    if is_text:
        texts, counts = np.unique(column.astype("S"), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
        return texts[order].astype(object)
    known = column[np.isfinite(column)]
    if not len(known):
        return known
    shares = np.linspace(*GRID_QUANTILES, MAX_GRID_POINTS)
    return np.unique(np.quantile(known, shares, method="nearest"))


def interactions(
    model: RowModel, names: list[str], test: Examples, scores: list[Score]
) -> list[Interaction]:
    """Return the H-statistic of each pair of columns, the strongest interaction first.

    Partial dependence is averaged over the same test rows at which it is computed. Of several
    scores, such as one for each class, squares are added up. The statistic of two columns without
    any effect is a ratio of rounding errors; it is 0 where the joint effect is tiny.

    References:
        Friedman and Popescu, Predictive learning via rule ensembles, 2008, equation 44.

    """
    rows = test.sample(MAX_INTERACTION_ROWS).numpy().features
    alone = {name: _dependence(model, (name,), rows, scores) for name in names}
    largest = max([float(np.square(one).sum()) for one in alone.values()], default=0.0)
    found = []
    for first, second in itertools.combinations(names, 2):
        joint = _dependence(model, (first, second), rows, scores)
        rest = joint - alone[first] - alone[second]
        total, remaining = float(np.square(joint).sum()), float(np.square(rest).sum())
        is_tiny = total <= 1e-8 * largest or total == 0
        h = 0.0 if is_tiny else float(np.sqrt(remaining / total))
        found.append(Interaction((first, second), h, float(np.sqrt(remaining / len(joint)))))
    return sorted(found, key=lambda one: -one.strength)


def _dependence(
    model: RowModel, names: tuple[str, ...], rows: Features, scores: list[Score]
) -> np.ndarray:
    """Return the centred partial dependence at the values of each row, [rows, scores]."""
    count = len(rows["numbers"])
    changed = repeated(rows, count)  # each row, with the cells of every row in turn
    for name in names:
        place = model.places[name]
        replace_cells(changed, place, np.tile(rows[place.matrix][:, place.column], count))
    outputs = model.outputs(changed)
    means = [score.of(outputs).reshape(count, count).mean(0) for score in scores]
    stacked = np.stack(means, 1)
    return stacked - stacked.mean(0)


def shown_output(model: RowModel) -> dict[str, Any]:
    """Return which of a model's outputs are shown, by name: the number, or probabilities."""
    labels = model.run.manifest["labels"]
    if not labels:
        return {model.run.manifest["fields"].get("target") or "value": 0}
    first = 1 if len(labels) == 2 else 0
    return {label: number for number, label in enumerate(labels) if number >= first}
