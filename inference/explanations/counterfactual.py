"""Counterfactual rows: the least change of one or two columns that turns an answer."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from inference.explanations.row_model import Features, RowModel, repeated, replace_cells
from pipelines.examples import Examples

MAX_VALUES = 50  # of a column that are tried
VALUE_QUANTILES = (0.01, 0.99)  # the range of tried numbers: models are unreliable beyond
MAX_PAIRED_COLUMNS = 12  # those that move the score most, of which two change together
MAX_PAIRED_VALUES = 12  # of each of these columns
MAX_SEARCHED_ROWS = 40_000  # predictions of single changes
MAX_SHOWN = 3  # counterfactuals of different columns
CATEGORY_DISTANCE = 1.0  # of two different texts; numbers have the difference of their quantiles


class Candidate(NamedTuple):
    """A value of a column, and its distance from that of the row: 0 the same, 1 the farthest."""

    name: str
    value: Any
    distance: float


class Counterfactual(NamedTuple):
    """A changed row whose answer is another one."""

    changes: tuple[Candidate, ...]
    output: np.ndarray

    @property
    def distance(self) -> float:
        """The sum of the distances of all changes."""
        return sum(one.distance for one in self.changes)


def search(
    model: RowModel,
    row: Features,
    train: Examples,
    turns: Callable[[np.ndarray], np.ndarray],
    closeness: Callable[[np.ndarray], np.ndarray],
    keep: Sequence[str] = (),
) -> list[Counterfactual]:
    """Search for the least changes that turn an answer, at most MAX_SHOWN, the least first.

    Each column takes values of training rows in turn, never an invented number; if no column
    alone turns the answer, pairs of the columns that come closest do.

    Args:
        model: the model.
        row: one packed row.
        train: the training examples.
        turns: whether outputs [n, ...] are the wanted answer, bool [n].
        closeness: how close outputs are to the wanted answer, [n]; larger is closer.
        keep: columns that do not change.

    References:
        Wachter, Mittelstadt and Russell, Counterfactual explanations without opening the black
        box, 2018.

    """
    names = [name for name in model.places if name not in set(keep)]
    if not names or not len(train):
        return []
    most = min(MAX_VALUES, max(2, MAX_SEARCHED_ROWS // len(names)))
    candidates = [one for name in names for one in _candidates(model, row, train, name, most)]
    changes = [(one,) for one in candidates]
    if not changes:
        return []
    outputs = _outputs(model, row, changes)
    found = _turned(changes, outputs, turns)
    if not found:
        pairs = [*_pairs(candidates, closeness(outputs))]
        if pairs:
            found = _turned(pairs, _outputs(model, row, pairs), turns)
    return _different_columns(found)


def _candidates(
    model: RowModel, row: Features, train: Examples, name: str, most: int
) -> Iterator[Candidate]:
    """Yield values of training rows that differ from the row's own, with their distances."""
    place = model.places[name]
    own, column = row[place.matrix][0, place.column], train.columns[name][train.rows]
    if place.matrix == "texts":
        texts, counts = np.unique(column.astype("S"), return_counts=True)
        for text in texts[np.argsort(-counts, kind="stable")[:most]].tolist():
            if text != own and text:  # a missing text is no change that a person can make
                yield Candidate(name, text, CATEGORY_DISTANCE)
        return
    known = np.sort(column[np.isfinite(column)])
    if not len(known):
        return
    values = np.unique(np.quantile(known, np.linspace(*VALUE_QUANTILES, most), method="nearest"))
    position = _quantile(known, own) if np.isfinite(own) else 0.5
    for value in values.tolist():
        if value != own:
            yield Candidate(name, value, abs(_quantile(known, value) - position))


def _quantile(known: np.ndarray, value: float) -> float:
    """Return the share of smaller values, of equal ones half."""
    ends = np.searchsorted(known, value, "left"), np.searchsorted(known, value, "right")
    return float(sum(ends)) / (2 * len(known))


def _outputs(
    model: RowModel, row: Features, changes: Sequence[tuple[Candidate, ...]]
) -> np.ndarray:
    changed = repeated(row, len(changes))
    for position, change in enumerate(changes):
        for one in change:
            replace_cells(changed, model.places[one.name], one.value, position)
    return model.outputs(changed)


def _turned(
    changes: Sequence[tuple[Candidate, ...]],
    outputs: np.ndarray,
    turns: Callable[[np.ndarray], np.ndarray],
) -> list[Counterfactual]:
    found = [
        Counterfactual(changes[k], outputs[k]) for k in np.flatnonzero(turns(outputs)).tolist()
    ]
    return sorted(found, key=lambda one: one.distance)


def _pairs(
    candidates: Sequence[Candidate], closeness: np.ndarray
) -> Iterator[tuple[Candidate, Candidate]]:
    """Pair values of the columns that come closest: the closest ones, and others evenly spread.

    The spread ones are for columns that have an effect only together.
    """
    by_column: dict[str, list[tuple[float, Candidate]]] = {}
    for one, close in zip(candidates, closeness.tolist(), strict=True):
        by_column.setdefault(one.name, []).append((close, one))
    best = [
        _closest_and_spread(values)
        for values in sorted(by_column.values(), key=lambda pairs: -max(p[0] for p in pairs))
    ]
    for first, second in itertools.combinations(best[:MAX_PAIRED_COLUMNS], 2):
        yield from itertools.product(first, second)


def _closest_and_spread(values: list[tuple[float, Candidate]]) -> list[Candidate]:
    """Return at most MAX_PAIRED_VALUES of a column's values, half of them the closest."""
    half = MAX_PAIRED_VALUES // 2
    closest = sorted(range(len(values)), key=lambda k: -values[k][0])[:half]
    spread = np.linspace(0, len(values) - 1, half).round().astype(int).tolist()
    return [values[k][1] for k in dict.fromkeys([*closest, *spread])]


def _different_columns(found: Sequence[Counterfactual]) -> list[Counterfactual]:
    """Return the least change of each set of columns, at most MAX_SHOWN."""
    least: dict[frozenset[str], Counterfactual] = {}
    for one in found:
        least.setdefault(frozenset(change.name for change in one.changes), one)
    return [*least.values()][:MAX_SHOWN]
