"""Fit statistics of the target so that no training example contributes to its own value.

An example of fold k gets the value that was fitted to the other folds. Other examples get the value
that was fitted to all training examples.

References:
    Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes, SIGKDD
    Explorations 2001, for the shrinkage; Wolpert, Stacked Generalization, Neural Networks 1992.

"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipelines.examples import Examples
from pipelines.folds import NUM_FOLDS

MAX_CLASSES = 20  # with more, targets have no statistics
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # of ridge regressions
MIN_PENALTY_ROWS = 2_000  # by which a penalty is chosen
MAX_ITERATIONS, TOLERANCE = 30, 1e-2  # of conjugate gradients


def target_columns(train: Examples) -> np.ndarray:
    """Return the targets as standardised columns [rows, outputs], float64.

    There is one column for numbers and for two classes, one a class for several, and none for
    more than MAX_CLASSES.
    """
    targets = train.targets
    if targets.dtype.kind in "iub":
        classes, number = np.unique(targets, return_inverse=True)
        if not 2 <= len(classes) <= MAX_CLASSES:
            return np.zeros((len(targets), 0))
        columns = np.eye(len(classes))[number]
        columns = columns[:, 1:] if len(classes) == 2 else columns
    else:
        columns = targets.astype("float64").reshape(len(targets), -1)
    return (columns - columns.mean(0)) / (columns.std(0) + 1e-12)


def training_rows(folds: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of each fit: those outside of each fold, then all."""
    for fold in range(NUM_FOLDS):
        yield np.flatnonzero(folds != fold)
    yield np.arange(len(folds))


def select_by_fold(values: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the value of each row that was fitted without its fold, from [rows, fits, outputs]."""
    return values[np.arange(len(folds)), folds]


def category_means(
    codes: np.ndarray, targets: np.ndarray, num_categories: int, fitted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shrunk mean of each category [categories + 1, outputs], and its number of rows.

    The last one is of unknown categories: the mean of all rows. The mean of a category counts as
    if it had m more rows of the common mean, where m is the variance within categories divided by
    the variance between them.
    """
    codes, targets = codes[fitted], targets[fitted]
    counts = np.bincount(codes, minlength=num_categories + 1).astype("float64")
    counts[num_categories] = 0  # unknown
    means = np.empty((num_categories + 1, targets.shape[1]))
    for output, target in enumerate(targets.T):
        sums = np.bincount(codes, target, num_categories + 1)
        squares = np.bincount(codes, target**2, num_categories + 1)
        common = target.mean() if len(target) else 0.0
        pseudo = _pseudo_count(counts[:-1], sums[:-1], squares[:-1], common)
        means[:, output] = (sums + pseudo * common) / (counts + pseudo)
        means[-1, output] = common
    return means, counts


def _pseudo_count(
    counts: np.ndarray, sums: np.ndarray, squares: np.ndarray, common: float
) -> float:
    """Estimate variance within / variance between by a one-way random-effects analysis."""
    seen = counts > 0
    counts, sums, squares = counts[seen], sums[seen], squares[seen]
    rows, groups = counts.sum(), len(counts)
    if groups < 2 or rows <= groups:
        return 1e9
    within = max((squares - sums**2 / counts).sum() / (rows - groups), 1e-9)
    mean_square = (counts * (sums / counts - common) ** 2).sum() / (groups - 1)
    typical = (rows - (counts**2).sum() / rows) / (groups - 1)
    between = (mean_square - within) / typical
    return float(within / between) if between > 1e-9 * within else 1e9


def ridge_fits(x: Any, targets: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit ridge regressions on sparse x; return kernels [fits, n, outputs], biases [fits, outputs].

    The penalty is the one by which a part of the other rows predicts the first fold best.
    """
    rows = [*training_rows(folds)]
    held_out = np.flatnonzero(folds == 0)
    sample = rows[0][:: max(1, min(3, len(rows[0]) // MIN_PENALTY_ROWS))]

    def error(penalty: float) -> float:
        kernel, bias = _ridge(x[sample], targets[sample], penalty)
        return float(np.square(x[held_out] @ kernel + bias - targets[held_out]).sum())

    penalty = min(PENALTIES, key=error)
    fits = [_ridge(x[part], targets[part], penalty) for part in rows]
    kernels, biases = (np.stack(parts) for parts in zip(*fits, strict=True))
    return kernels, biases


def _ridge(x: Any, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimise |x w + b - y|^2 + penalty |w|^2 by conjugate gradients, for all outputs at once."""
    bias = targets.mean(0) if len(targets) else np.zeros(targets.shape[1])
    mean = np.asarray(x.mean(0)).ravel() if len(targets) else np.zeros(x.shape[1])
    residual = x.T @ (targets - bias)
    kernel = np.zeros_like(residual)
    direction, power = residual.copy(), np.square(residual).sum(0)
    first = power.copy()
    for _ in range(MAX_ITERATIONS):
        if (power <= TOLERANCE**2 * first).all():
            break
        fitted = x @ direction
        fitted -= mean @ direction  # the columns of x are centred
        curved = x.T @ fitted - np.outer(mean, fitted.sum(0)) + penalty * direction
        step = power / np.maximum((direction * curved).sum(0), 1e-300)
        kernel += step * direction
        residual -= step * curved
        before, power = power, np.square(residual).sum(0)
        direction = residual + power / np.maximum(before, 1e-300) * direction
    return kernel, bias - mean @ kernel
