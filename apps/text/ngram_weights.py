"""Linear support vector machines on the n-grams of texts."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.svm import LinearSVC

from pipelines.texts.ngram_features import inverse_document_frequencies, log_count_ratios, scaled

TOLERANCE, MAX_ITERATIONS = 0.05, 1000
ABSENT_CLASS_BIAS = -10.0  # bias of a class without texts


class LinearModel(NamedTuple):
    """Scores of a text: features of its n-grams times coefficients, and a bias.

    Attributes:
        importance: factor of each n-gram, [n-grams].
        coefficients: [n-grams, columns].
        bias: [columns].

    """

    importance: np.ndarray
    coefficients: np.ndarray
    bias: np.ndarray

    def scores(self, present: Any, kinds: list[int]) -> np.ndarray:
        """Return the scores [texts, columns] of texts with n-grams, sparse [texts, n-grams]."""
        return scaled(present, self.importance, kinds) @ self.coefficients + self.bias


def fit(
    present: Any,
    targets: np.ndarray,
    num_classes: int,
    kinds: list[int],
    weights: np.ndarray | None = None,
    c: float = 1.0,
) -> LinearModel:
    """Fit a support vector machine for each class against the others; for two classes only one.

    Args:
        present: which text has which n-gram, sparse [texts, n-grams].
        targets: class numbers, [texts]; or 1 or 0 for each of several classes, [texts, classes].
        num_classes: also of classes without texts.
        kinds: numbers of n-grams of each kind; their sum is the number of columns.
        weights: of the texts; None if all count the same.
        c: weight of the training errors against the L2 penalty.

    """
    machine = LinearSVC(C=c, tol=TOLERANCE, max_iter=MAX_ITERATIONS, random_state=0)
    if two_classes := targets.ndim == 1 and num_classes == 2:
        importance = log_count_ratios(present, targets == 1)
    else:
        importance = inverse_document_frequencies(present)
    features = scaled(present, importance, kinds)
    if targets.ndim > 1:
        machines = [_fit_two(machine, features, of_class, weights) for of_class in targets.T]
        coefficients, bias = (np.stack(part, -1) for part in zip(*machines, strict=True))
    elif two_classes:
        both = _fit_two(machine, features, targets, weights)
        coefficients, bias = (part[..., np.newaxis] for part in both)
    else:
        coefficients, bias = _fit_several(machine, features, targets, num_classes, weights)
    return LinearModel(importance, coefficients, bias)


def _fit_two(
    machine: LinearSVC, features: Any, classes: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients [n-grams] and bias [] of the class 1 against 0."""
    if classes.min() == classes.max():
        bias = -ABSENT_CLASS_BIAS if classes[0] else ABSENT_CLASS_BIAS
        return np.zeros(features.shape[1], "float32"), np.array(bias)
    machine.fit(features, classes, weights)
    return machine.coef_[0].astype("float32"), machine.intercept_[0]


def _fit_several(
    machine: LinearSVC,
    features: Any,
    classes: np.ndarray,
    num_classes: int,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients [n-grams, classes] and bias [classes], of each class against others."""
    known = np.unique(classes)
    coefficients = np.zeros((features.shape[1], num_classes), "float32")
    bias = np.where(np.isin(np.arange(num_classes), known), 0.0, ABSENT_CLASS_BIAS)
    if len(known) > 1:
        machine.fit(features, classes, weights)
        found, intercepts = machine.coef_, machine.intercept_
        if len(known) == 2:  # one column is the difference of both
            found, intercepts = (np.stack([-one[0], one[0]]) / 2 for one in (found, intercepts))
        coefficients[:, known], bias[known] = found.T, intercepts
    return coefficients, bias
