"""Whether a single column tells the answer, on examples that it was not learnt from."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

MOST_JUDGED = 20_000  # examples are enough to know
FEWEST = 20
FOLDS = 3
DEPTH = 8
NEARLY, GIVEN_AWAY = 0.93, 0.98  # of what the majority leaves to be known
# Of the square that the mean leaves: what is left there is 14 % and 3 % of the deviation.
NEARLY_EQUAL, EQUAL = 0.98, 0.999


class Told(NamedTuple):
    """How well a column alone tells the answer: 0 not at all, 1 always."""

    column: str
    score: float


def told(columns: Mapping[str, np.ndarray], target: np.ndarray, classes: bool) -> list[Told]:
    """Every column that tells nearly everything, best first.

    A rule of one column is learnt on two thirds of the examples and judged on
    the third: a small decision tree for numbers (NaN: missing), or a line from
    each to the next, or one through all; the majority or mean of each category for
    texts. The score is the share of the wrong answers of the majority that it puts
    right, or R2.
    """
    some = _some(len(target))
    if len(some) < FEWEST:
        return []
    found = [
        Told(name, score(column[some], target[some], classes)) for name, column in columns.items()
    ]
    least = NEARLY if classes else NEARLY_EQUAL
    return sorted((one for one in found if one.score >= least), key=lambda one: -one.score)


def score(column: np.ndarray, target: np.ndarray, classes: bool) -> float:
    """Of one column, in [0, 1]; see `told`."""
    parts = np.random.default_rng(0).permutation(len(target)) % FOLDS
    given = np.empty(len(target), target.dtype if classes else "float64")
    for part in range(FOLDS):
        learn, judge = parts != part, parts == part
        rule = _categories if column.dtype == object else _tree
        given[judge] = rule(column[learn], target[learn], column[judge], classes)
    if classes:
        majority = np.bincount(target).max() / len(target)
        return float(np.clip(((given == target).mean() - majority) / (1 - majority + 1e-12), 0, 1))
    spread = float(((target - target.mean()) ** 2).mean()) or 1.0
    wrong = float(((given - target) ** 2).mean())
    if column.dtype != object:
        wrong = min(wrong, _wrong_between(column, target, parts))
    return float(np.clip(1 - wrong / spread, 0, 1))


def _wrong_between(column: np.ndarray, target: np.ndarray, parts: np.ndarray) -> float:
    """The least mean squared error: from one known number to the next, or by one line."""
    wrong = np.zeros((2, len(target)))
    filled = np.where(np.isfinite(column), column, 0).astype("float64")
    for part in range(FOLDS):
        learn, judge = parts != part, parts == part
        values, places = np.unique(filled[learn], return_inverse=True)
        means = np.bincount(places, target[learn]) / np.bincount(places)
        wrong[0, judge] = np.interp(filled[judge], values, means) - target[judge]
        slope = _slope(filled[learn], target[learn])
        line = target[learn].mean() + slope * (filled[judge] - filled[learn].mean())
        wrong[1, judge] = line - target[judge]
    return float((wrong**2).mean(1).min())


def _slope(column: np.ndarray, target: np.ndarray) -> float:
    """Of the line of least squares."""
    apart = column - column.mean()
    return float(apart @ (target - target.mean()) / (apart @ apart or 1.0))


def _some(count: int) -> np.ndarray:
    if count <= MOST_JUDGED:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_JUDGED, replace=False))


def _tree(learn: np.ndarray, target: np.ndarray, judge: np.ndarray, classes: bool) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    # A class an end at least; ends for the steps of a straight line.
    ends = max(256, 4 * len(np.unique(target))) if classes else 1024
    tree = kind(max_leaf_nodes=ends, min_samples_leaf=2, random_state=0)
    if classes:
        tree.set_params(max_depth=None if ends > 2**DEPTH else DEPTH)
    return tree.fit(learn[:, None], target).predict(judge[:, None])


def _categories(
    learn: np.ndarray, target: np.ndarray, judge: np.ndarray, classes: bool
) -> np.ndarray:
    usual = np.bincount(target).argmax() if classes else target.mean()
    if classes:
        counts: dict[bytes, Counter] = {}
        for cell, answer in zip(learn.tolist(), target.tolist(), strict=True):
            counts.setdefault(cell, Counter())[answer] += 1
        rule = {cell: some.most_common(1)[0][0] for cell, some in counts.items()}
    else:
        sums: dict[bytes, list[float]] = {}
        for cell, answer in zip(learn.tolist(), target.tolist(), strict=True):
            held = sums.setdefault(cell, [0.0, 0.0])
            held[0], held[1] = held[0] + answer, held[1] + 1
        rule = {cell: total / count for cell, (total, count) in sums.items()}
    return np.array([rule.get(cell, usual) for cell in judge.tolist()])
