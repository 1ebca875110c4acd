"""Logistic regression as a start for networks of rows, and its weights as those of a layer."""

import dataclasses
import warnings
from typing import Any

import numpy as np

MOST_ROWS = 20_000  # of more examples so many tell enough for a start
ABSENT = -10.0  # bias of a class without examples


def logistic(x: Any, classes: np.ndarray, num_classes: int) -> list[np.ndarray]:
    """The kernel [n, classes] and bias [classes] of scikit-learn's default penalty.

    Args:
        x: numbers [rows, n], dense or sparse.
        classes: from 0, [rows].
        num_classes: of which some may be absent.

    """
    from sklearn.linear_model import LogisticRegression

    there = np.unique(classes)
    if len(there) < 2 or not x.shape[1]:
        bias = np.full(num_classes, ABSENT, "float32")
        bias[there] = 0.0
        return [np.zeros((x.shape[1], num_classes), "float32"), bias]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a start need not have converged
        model = LogisticRegression(max_iter=500).fit(x, classes)
    return of_all_classes(model, num_classes)


def of_some(train: Any, num_classes: int) -> list[np.ndarray]:
    """`logistic` of the examples of a tabular_networks.Prepared, of at most `MOST_ROWS`."""
    step = -(-len(train) // MOST_ROWS)
    some = dataclasses.replace(train, train=train.train.select(np.arange(0, len(train), step)))
    return logistic(some.sparse(), some.train.targets, num_classes)


def of_all_classes(model: Any, num_classes: int) -> list[np.ndarray]:
    """The kernel [n, classes] and bias [classes] of scikit-learn's model of those it has seen."""
    weights, starts, there = model.coef_, model.intercept_, model.classes_
    if len(there) == 2:  # its one row is the difference of both
        weights, starts = (np.concatenate([-part, part]) / 2 for part in (weights, starts))
    kernel = np.zeros((weights.shape[1], num_classes), "float32")
    bias = np.full(num_classes, ABSENT, "float32")
    kernel[:, there], bias[there] = weights.T, starts
    return [kernel, bias]
