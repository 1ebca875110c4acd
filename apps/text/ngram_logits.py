"""Logistic regression on sparse runs of words, on all texts and on all but a fold of them."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

STRENGTH = 10.0  # scikit-learn's C
TOLERANCE = 1e-3
FOLDS = 3
ABSENT = -10.0  # bias of a class without texts


class Known(NamedTuple):
    """Which runs are in which text, sparse [texts, runs], and the classes [texts]."""

    runs: Any
    classes: np.ndarray


class Solution(NamedTuple):
    """Weights of the runs' presence [runs], and of several regressions the coefficients and biases.

    The first of these [1 + FOLDS, runs, columns] and [1 + FOLDS, columns] has seen
    all texts, number 1 + k all but those of fold k. By `trust` logits are multiplied
    to make the classes of texts that were not seen most likely: it is 0 where runs
    tell nothing.
    """

    rarity: np.ndarray
    coefficients: np.ndarray
    bias: np.ndarray
    trust: float


def matrix(batches: Any, num_ngrams: int) -> Known:
    """Batches of (numbers of runs with 0 for none, classes) as one sparse matrix."""
    rows, columns, classes, count = [], [], [], 0
    for runs, some in batches:
        row, place = np.nonzero(runs)
        rows.append(row + count)
        columns.append(np.asarray(runs)[row, place])
        classes.append(np.asarray(some))
        count += len(some)
    where = (np.concatenate(rows), np.concatenate(columns))
    present = np.ones(len(where[0]), "float32")
    runs = sparse.csr_matrix((present, where), shape=(count, num_ngrams))
    return Known(runs, np.concatenate(classes))


def sums(known: Known, marks: np.ndarray) -> np.ndarray:
    """The sum of the marks [runs] of each text's runs, int64 [texts]; it may wrap around."""
    runs = known.runs
    marked = sparse.csr_matrix((marks[runs.indices], runs.indices, runs.indptr), runs.shape)
    return np.asarray(marked @ np.ones(runs.shape[1], "int64"))


def solve(known: Known, folds: np.ndarray, num_classes: int) -> Solution:
    """The regression on all texts, and those that leave out a fold of them; folds [texts]."""
    texts_with = np.asarray(known.runs.sum(0)).ravel()
    rarity = 1 + np.log((1 + len(known.classes)) / (1 + texts_with)).astype("float32")
    rarity[texts_with == 0] = 0.0
    weighted = normalize(known.runs.multiply(rarity).tocsr())
    seen = [np.full(len(folds), True), *(folds != fold for fold in range(FOLDS))]
    found = [_fitted(weighted[some], known.classes[some], num_classes) for some in seen]
    coefficients, bias = (np.stack(parts) for parts in zip(*found, strict=True))
    unseen = [weighted[folds == k] @ coefficients[1 + k] + bias[1 + k] for k in range(FOLDS)]
    classes = np.concatenate([known.classes[folds == k] for k in range(FOLDS)])
    return Solution(rarity, coefficients, bias, _trust(np.concatenate(unseen), classes))


def _trust(logits: np.ndarray, classes: np.ndarray) -> float:
    """The factor from 0 to 2 that makes the classes most likely."""
    if logits.shape[1] == 1:
        logits = np.concatenate([-logits, logits], axis=1)

    def surprise(factor: float) -> float:
        right = logits[np.arange(len(classes)), classes]
        return float(np.mean(logsumexp(factor * logits, axis=1) - factor * right))

    return float(minimize_scalar(surprise, bounds=(0.0, 2.0), method="bounded").x)


def _fitted(features: Any, classes: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [runs, columns] and bias [columns]; a class without texts has a low one."""
    columns = 1 if num_classes == 2 else num_classes
    coefficients = np.zeros((features.shape[1], columns), "float32")
    there = np.unique(classes)
    bias = np.where(np.isin(np.arange(columns), there), 0.0, ABSENT) if columns > 1 else np.zeros(1)
    if len(there) > 1:
        solver = "liblinear" if len(there) == 2 else "lbfgs"
        model = LogisticRegression(C=STRENGTH, solver=solver, tol=TOLERANCE, max_iter=200)
        model.fit(features, classes)
        weights, starts = model.coef_, model.intercept_
        if len(there) == 2:  # scikit-learn's one column is the difference of both.
            weights, starts = (np.stack([-part[0], part[0]]) / 2 for part in (weights, starts))
        into, place = (there, slice(None)) if columns > 1 else (slice(None), slice(1, None))
        coefficients[:, into], bias[into] = weights[place].T, starts[place]
    return coefficients, bias
