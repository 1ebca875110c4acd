"""Target leakage: single columns that predict the target of unseen examples almost perfectly."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

MAX_EXAMPLES = 20_000
MIN_EXAMPLES = 20
FOLDS = 3
MAX_TREE_DEPTH = 8
# Shares of the majority class's errors that a column corrects.
MIN_CLASS_SCORE, CLASS_ERROR_SCORE = 0.93, 0.98
# R2 of a column: the rest is 14 % and 3 % of the standard deviation.
MIN_R2, ERROR_R2 = 0.98, 0.999


class LeakingColumn(NamedTuple):
    """A column and how well it alone predicts the target: 0 no better than a constant, 1 always."""

    column: str
    score: float


def leaking_columns(
    columns: Mapping[str, np.ndarray], target: np.ndarray, classes: bool
) -> list[LeakingColumn]:
    """Return the columns that predict the target almost perfectly, best first.

    A rule of one column is fitted on two thirds of the examples and scored on the third: for
    numbers (NaN: missing) the best of a small decision tree, linear interpolation and a
    straight line; for texts the majority class or the mean of each category. The score is the
    share of the majority class's errors that the rule corrects, or R2.
    """
    sample = _sample(len(target))
    if len(sample) < MIN_EXAMPLES:
        return []
    scored = [
        LeakingColumn(name, score(column[sample], target[sample], classes))
        for name, column in columns.items()
    ]
    min_score = MIN_CLASS_SCORE if classes else MIN_R2
    return sorted(
        (leak for leak in scored if leak.score >= min_score), key=lambda leak: -leak.score
    )


def score(column: np.ndarray, target: np.ndarray, classes: bool) -> float:
    """Return the score of one column, in [0, 1]; see `leaking_columns`."""
    parts = np.random.default_rng(0).permutation(len(target)) % FOLDS
    predicted = np.empty(len(target), target.dtype if classes else "float64")
    for part in range(FOLDS):
        fitting, scoring = parts != part, parts == part
        rule = _categories if column.dtype == object else _tree
        predicted[scoring] = rule(column[fitting], target[fitting], column[scoring], classes)
    if classes:
        majority = np.bincount(target).max() / len(target)
        return float(
            np.clip(((predicted == target).mean() - majority) / (1 - majority + 1e-12), 0, 1)
        )
    variance = float(((target - target.mean()) ** 2).mean()) or 1.0
    error = float(((predicted - target) ** 2).mean())
    if column.dtype != object:
        error = min(error, _linear_errors(column, target, parts))
    return float(np.clip(1 - error / variance, 0, 1))


def _linear_errors(column: np.ndarray, target: np.ndarray, parts: np.ndarray) -> float:
    """Return the smaller mean squared error of linear interpolation and of a straight line."""
    errors = np.zeros((2, len(target)))
    filled = np.where(np.isfinite(column), column, 0).astype("float64")
    for part in range(FOLDS):
        fitting, scoring = parts != part, parts == part
        values, index = np.unique(filled[fitting], return_inverse=True)
        means = np.bincount(index, target[fitting]) / np.bincount(index)
        errors[0, scoring] = np.interp(filled[scoring], values, means) - target[scoring]
        slope = _slope(filled[fitting], target[fitting])
        line = target[fitting].mean() + slope * (filled[scoring] - filled[fitting].mean())
        errors[1, scoring] = line - target[scoring]
    return float((errors**2).mean(1).min())


def _slope(column: np.ndarray, target: np.ndarray) -> float:
    """Return the slope of the least-squares line."""
    centred = column - column.mean()
    return float(centred @ (target - target.mean()) / (centred @ centred or 1.0))


def _sample(count: int) -> np.ndarray:
    if count <= MAX_EXAMPLES:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MAX_EXAMPLES, replace=False))


def _tree(
    fitting: np.ndarray, target: np.ndarray, scoring: np.ndarray, classes: bool
) -> np.ndarray:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    # At least one leaf a class; many leaves for the steps of a straight line.
    num_leaves = max(256, 4 * len(np.unique(target))) if classes else 1024
    tree = kind(max_leaf_nodes=num_leaves, min_samples_leaf=2, random_state=0)
    if classes:
        tree.set_params(max_depth=None if num_leaves > 2**MAX_TREE_DEPTH else MAX_TREE_DEPTH)
    return tree.fit(fitting[:, None], target).predict(scoring[:, None])


def _categories(
    fitting: np.ndarray, target: np.ndarray, scoring: np.ndarray, classes: bool
) -> np.ndarray:
    default = np.bincount(target).argmax() if classes else target.mean()
    if classes:
        counts: dict[bytes, Counter] = {}
        for cell, answer in zip(fitting.tolist(), target.tolist(), strict=True):
            counts.setdefault(cell, Counter())[answer] += 1
        rule = {cell: counter.most_common(1)[0][0] for cell, counter in counts.items()}
    else:
        sums: dict[bytes, list[float]] = {}
        for cell, answer in zip(fitting.tolist(), target.tolist(), strict=True):
            total = sums.setdefault(cell, [0.0, 0.0])
            total[0], total[1] = total[0] + answer, total[1] + 1
        rule = {cell: total / count for cell, (total, count) in sums.items()}
    return np.array([rule.get(cell, default) for cell in scoring.tolist()])
