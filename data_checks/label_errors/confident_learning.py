"""Confident learning: which labels held-out probabilities contradict, and how many are wrong."""

from typing import NamedTuple

import numpy as np

NUM_RESAMPLES = 300
TOLERANCE = 1e-6  # below a threshold, as in cleanlab
ABSENT_CLASS_THRESHOLD = 2.0  # no probability reaches it


class LabelErrors(NamedTuple):
    """Contradicted labels and the estimated share of wrong ones.

    Attributes:
        rows: the contradicted examples, the most certain first.
        probable: the class that each of them probably has.
        noise_rate: the estimated share of wrong labels.
        interval: its 95 % interval.

    """

    rows: np.ndarray
    probable: np.ndarray
    noise_rate: float
    interval: tuple[float, float]


def find_label_errors(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> LabelErrors:
    """Find contradicted labels among held-out probabilities [n, classes].

    An example counts for a class if its probability reaches the mean that the class has in the
    examples with its label; of several such classes the most probable counts. A label is
    contradicted if another class counts, and the label is not the most probable class.

    References:
        Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels,
        Journal of Artificial Intelligence Research 2021; "confident_learning" of cleanlab.

    """
    counted = confident_classes(probabilities, labels)
    given = probabilities[np.arange(len(labels)), labels]
    is_error = (counted >= 0) & (counted != labels) & (given < probabilities.max(1))
    rows = np.flatnonzero(is_error)
    margins = probabilities[rows, counted[rows]] - given[rows]
    rows = rows[np.argsort(-margins, kind="stable")]
    rate, interval = _noise_rate(counted, labels, probabilities.shape[1], seed)
    return LabelErrors(rows, counted[rows], rate, interval)


def confident_classes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the class that each example counts for; -1 if none."""
    num_classes = probabilities.shape[1]
    given = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, given, num_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), ABSENT_CLASS_THRESHOLD)
    reached = probabilities >= thresholds - TOLERANCE
    number = reached.sum(1)
    counted = np.where(number > 1, probabilities.argmax(1), reached.argmax(1))
    return np.where(number > 0, counted, -1)


def _noise_rate(
    counted: np.ndarray, labels: np.ndarray, num_classes: int, seed: int
) -> tuple[float, tuple[float, float]]:
    """Return the noise rate and its interval, by a bootstrap of the counted examples."""
    cells = labels * (num_classes + 1) + counted + 1
    used, counts = np.unique(cells, return_counts=True)
    given, found = np.divmod(used, num_classes + 1)
    rate = _off_diagonal(counts[np.newaxis], given, found - 1, num_classes)[0]
    draws = np.random.default_rng(seed).multinomial(
        len(labels), counts / len(labels), NUM_RESAMPLES
    )
    rates = _off_diagonal(draws, given, found - 1, num_classes)
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(rate), (float(min(low, rate)), float(max(high, rate)))


def _off_diagonal(
    counts: np.ndarray, given: np.ndarray, found: np.ndarray, num_classes: int
) -> np.ndarray:
    """Return the off-diagonal share of each calibrated confident joint, [resamples].

    Calibration weighs the rows of the joint so that they add up to the number of each label.
    """
    rates = np.zeros(len(counts))
    for label in range(num_classes):
        of_label = given == label
        total = counts[:, of_label].sum(1)
        wrong = counts[:, of_label & (found >= 0) & (found != label)].sum(1)
        # At least one example of a label counts as right, as in cleanlab.
        right = np.maximum(counts[:, of_label & (found == label)].sum(1), 1)
        rates += total * wrong / (wrong + right)
    return rates / np.maximum(counts.sum(1), 1)
