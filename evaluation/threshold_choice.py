"""Choose the threshold of the positive class of two on held-out examples."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from evaluation.areas import ROUNDING, rank

CERTAINTY = 0.9  # with which a precision or a recall is reached
MIN_ERRORS = 3.0  # standard errors between frequencies and calibrated probabilities


class Candidates(NamedTuple):
    """All thresholds that separate held-out examples, the highest first.

    Attributes:
        threshold: lowest score of the selected examples, [n].
        precision: of the selected, [n].
        recall: share of the positive examples that is selected, [n].
        surely_precise: one-sided lower bound of the precision, [n].
        surely_recalled: one-sided lower bound of the recall, [n].

    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    surely_precise: np.ndarray
    surely_recalled: np.ndarray


class NotReachedError(ValueError):
    """No threshold does what is wanted; the message says what the best one does."""


def candidates(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> Candidates:
    """Return all thresholds of scores [n] with their precision and recall."""
    ranked = rank(scores, truth, weights)
    weights = np.ones(len(scores)) if weights is None else weights
    positive = ranked.positive[::-1].cumsum()
    selected = positive + ranked.negative[::-1].cumsum()
    squares = np.bincount(ranked.group, weights**2)[::-1].cumsum()
    effective = selected**2 / np.maximum(squares, ROUNDING)
    precision = positive / np.maximum(selected, ROUNDING)
    recall, own = positive / positive[-1], weights[truth]
    size = np.full(len(recall), own.sum() ** 2 / np.square(own).sum())
    return Candidates(
        _between(ranked.values)[::-1],
        precision,
        recall,
        _lower_bound(precision, effective),
        _lower_bound(recall, size),
    )


def by_costs(
    scores: np.ndarray,
    truth: np.ndarray,
    weights: np.ndarray | None,
    false_positive: float,
    false_negative: float,
) -> float:
    """Return the threshold with the lowest cost.

    For calibrated probabilities that is c / (c + d), where c is the cost of a false positive and d
    that of a false negative. The cheapest threshold on the held-out examples is taken instead if
    the probabilities between the two are significantly too high or too low.

    References:
        Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.

    """
    weights = np.ones(len(scores)) if weights is None else weights
    ranked = rank(scores, truth, weights)
    found = ranked.positive[::-1].cumsum()
    wrong = ranked.negative[::-1].cumsum()
    total = false_positive * wrong + false_negative * (found[-1] - found)
    best = _between(ranked.values)[::-1][total.argmin()]
    calibrated = false_positive / (false_positive + false_negative)
    low, high = sorted((calibrated, float(best)))
    between = (scores >= np.float32(low)) & (scores < np.float32(high))
    share, weight = scores[between].astype("float64"), weights[between]
    # Under calibration the number of positive examples has this mean and variance.
    excess = float(weight @ (truth[between] - share))
    error = float(np.sqrt(np.square(weight) @ (share * (1 - share))))
    return float(best) if abs(excess) > MIN_ERRORS * error else round(calibrated, 6)


def by_precision(found: Candidates, wanted: float) -> float:
    """Return the threshold with the highest recall whose precision surely is the wanted one.

    Raises NotReachedError.
    """
    reached = np.flatnonzero(found.surely_precise >= wanted)
    if len(reached):
        return float(found.threshold[reached[-1]])
    best = int(found.surely_precise.argmax())
    raise NotReachedError(
        f"the highest certain precision is {found.surely_precise[best]:.3f}, at the threshold "
        f"{found.threshold[best]:g} (precision {found.precision[best]:.3f} and recall "
        f"{found.recall[best]:.3f} on the validation examples)"
    )


def by_recall(found: Candidates, wanted: float) -> float:
    """Return the highest threshold whose recall surely is the wanted one.

    Raises NotReachedError if only a threshold that selects every example has it.
    """
    reached = np.flatnonzero(found.surely_recalled[:-1] >= wanted)
    if len(reached):
        return float(found.threshold[reached[0]])
    best = max(len(found.recall) - 2, 0)
    raise NotReachedError(
        f"the highest certain recall is {found.surely_recalled[best]:.3f}, at the threshold "
        f"{found.threshold[best]:g} (recall {found.recall[best]:.3f} and precision "
        f"{found.precision[best]:.3f} on the validation examples), unless every example is selected"
    )


def _lower_bound(share: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return Wilson's one-sided lower bound of shares of `count` examples."""
    z = float(ndtri(CERTAINTY))
    square = z * z / np.maximum(count, ROUNDING)
    half = z * np.sqrt(share * (1 - share) / np.maximum(count, ROUNDING) + square**2 / (4 * z * z))
    return (share + square / 2 - half) / (1 + square)


def _between(values: np.ndarray) -> np.ndarray:
    """Return for ascending scores a short number above the score before and at most the score."""
    before = np.concatenate([[0.0 if values[0] > 0 else -1.0], values[:-1].astype("float64")])
    middle = np.maximum((before + values) / 2, 0.0)
    chosen = middle.astype("float32").astype("float64")
    for decimals in (6, 5, 4, 3, 2):
        rounded = middle.round(decimals)
        fits = (rounded.astype("float32") > before.astype("float32")) & (
            rounded.astype("float32") <= values.astype("float32")
        )
        chosen = np.where(fits, rounded, chosen)
    return chosen
