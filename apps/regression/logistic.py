"""Logistic regression by scikit-learn, as weights of a Keras layer."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from apps.regression.matrices import RowMatrices

MAX_EXAMPLES = 20_000  # enough for the linear part of a network
ABSENT_CLASS_BIAS = -10.0  # bias of a class without examples


def fit_logistic(
    x: Any, classes: np.ndarray, num_classes: int, weights: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return the kernel [n, classes] and bias [classes] with scikit-learn's default penalty.

    Args:
        x: numbers [rows, n], dense or sparse.
        classes: from 0, [rows].
        num_classes: some of which may have no examples.
        weights: of the rows; by default 1.

    """
    from sklearn.linear_model import LogisticRegression

    present = np.unique(classes)
    if len(present) < 2 or not x.shape[1]:
        bias = np.full(num_classes, ABSENT_CLASS_BIAS, "float32")
        bias[present] = 0.0
        return [np.zeros((x.shape[1], num_classes), "float32"), bias]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not have converged
        model = LogisticRegression(max_iter=500).fit(x, classes, weights)
    return layer_weights(model, num_classes)


def fit_subsample(train: "RowMatrices", num_classes: int) -> list[np.ndarray]:
    """Fit `fit_logistic` to at most `MAX_EXAMPLES` training examples."""
    step = -(-len(train) // MAX_EXAMPLES)
    rows = np.arange(0, len(train), step)
    sample = train.select(rows)
    examples = sample.examples
    return fit_logistic(sample.sparse(), examples.targets, num_classes, examples.relative_weights)


def layer_weights(model: Any, num_classes: int) -> list[np.ndarray]:
    """Return kernel [n, classes] and bias [classes] of scikit-learn's LogisticRegression."""
    coefficients, intercepts, present = model.coef_, model.intercept_, model.classes_
    if len(present) == 2:  # scikit-learn's one row is the difference of both
        coefficients, intercepts = (
            np.concatenate([-part, part]) / 2 for part in (coefficients, intercepts)
        )
    kernel = np.zeros((coefficients.shape[1], num_classes), "float32")
    bias = np.full(num_classes, ABSENT_CLASS_BIAS, "float32")
    kernel[:, present], bias[present] = coefficients.T, intercepts
    return [kernel, bias]
