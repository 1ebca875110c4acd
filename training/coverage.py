"""Intervals and sets that contain the truth in a wanted share of the cases: split conformal.

The held-out predictions of a run say how far the truth is from a prediction. No distribution is
assumed; the share holds for examples that are drawn like the held-out ones.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

MIN_EXAMPLES_PER_BIN, MAX_BINS = 60, 15  # by which the spread of errors is estimated
NUM_PSEUDO_ERRORS = 2.0  # of the mean error, added to each bin
MAX_END_RATIO = 2.0  # of the spread at the least or largest guide to that of its bin
MIN_RELATIVE_SPREAD = 1e-3  # of the mean error
# Added to a sum of probabilities, which rounding changes: the truth of an example whose sum is
# that of the threshold is then in its set on every machine.
ROUNDING = 1e-5


class Intervals(NamedTuple):
    """Prediction intervals of numbers, wider where errors are larger.

    The spread of the errors depends on a guide: the prediction itself, or a standard deviation
    that the model predicts too.

    Attributes:
        level: share of intervals that contain the true number.
        quantile: half the width of an interval, in spreads.
        at: guides at which the spread is known, ascending; it is linear between them.
        spreads: mean absolute errors there.
        examples: held-out examples.

    """

    level: float
    quantile: float
    at: list[float]
    spreads: list[float]
    examples: int

    def half_widths(self, guides: np.ndarray) -> np.ndarray:
        """Return half the width of each interval."""
        return self.quantile * np.interp(guides, self.at, self.spreads)

    def bounds(self, values: np.ndarray, guides: np.ndarray) -> np.ndarray:
        """Return the lower and the upper end of each interval, [n, 2]."""
        half = self.half_widths(guides)
        return np.stack([values - half, values + half], -1)


class Sets(NamedTuple):
    """Sets of classes: the most probable ones, until their sum exceeds a threshold.

    Attributes:
        level: share of sets that contain the true class, or more: a set has one class at least.
        threshold: a class is in the set if all more probable ones together have at most this.
        examples: held-out examples.

    """

    level: float
    threshold: float
    examples: int

    def members(self, probabilities: np.ndarray) -> np.ndarray:
        """Return whether each class is in the set, bool [n, classes]."""
        return sums_before(probabilities) <= self.threshold


Coverage = Intervals | Sets


def sums_before(probabilities: np.ndarray) -> np.ndarray:
    """Return for each class the sum of the probabilities of the more probable ones, [n, classes].

    References:
        Romano, Sesia and Candès, Classification with Valid and Adaptive Coverage, NeurIPS 2020.

    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, 1)
    before = np.cumsum(ordered, 1) - ordered
    sums = np.empty_like(before)
    np.put_along_axis(sums, order, before, 1)
    return sums


def fit_sets(probabilities: np.ndarray, targets: np.ndarray, level: float) -> Sets | None:
    """Return sets that contain the true class in a share of the cases; None for few examples.

    If the most probable class alone does, sets are larger where the model is less certain: they
    hold the classes whose probabilities together reach the share.

    Args:
        probabilities: of held-out examples, [n, classes].
        targets: class numbers, [n].
        level: the share.

    """
    scores = sums_before(probabilities)[np.arange(len(targets)), targets]
    threshold = conformal_quantile(scores, level)
    if threshold is None:
        return None
    threshold = threshold or level
    return Sets(level, round(min(1.0, threshold + ROUNDING), 6), len(targets))


def fit_intervals(
    values: np.ndarray, guides: np.ndarray, targets: np.ndarray, level: float
) -> Intervals | None:
    """Return intervals that contain the true number in a share of the cases; None for few examples.

    Each half of the examples is judged by the spread of the other, so that no error is compared
    with a spread that it has changed.

    Args:
        values: predicted numbers of held-out examples, [n].
        guides: on which the spread depends, [n].
        targets: true numbers, [n].
        level: the share.

    References:
        Lei et al., Distribution-Free Predictive Inference for Regression, JASA 2018, section 5.2.

    """
    guides, errors = guides.astype("float64"), np.abs(values.astype("float64") - targets)
    if not (len(errors) and np.isfinite(errors).all() and np.isfinite(guides).all()):
        return None
    num_bins = max(1, min(MAX_BINS, len(errors) // MIN_EXAMPLES_PER_BIN))
    at, spreads = _spreads(guides, errors, num_bins)
    quantile = conformal_quantile(_scores(guides, errors, num_bins), level)
    if quantile is None:
        return None
    return Intervals(level, quantile, at.tolist(), spreads.tolist(), len(errors))


def _scores(guides: np.ndarray, errors: np.ndarray, num_bins: int) -> np.ndarray:
    """Return errors in spreads, each half by the spread of the other if that varies."""
    if num_bins == 1:
        return errors / _spreads(guides, errors, num_bins)[1]
    scores, half = np.empty(len(errors)), np.arange(len(errors)) % 2
    for inside in (half == 0, half == 1):
        at, spreads = _spreads(guides[~inside], errors[~inside], num_bins)
        scores[inside] = errors[inside] / np.interp(guides[inside], at, spreads)
    return scores


def _spreads(
    guides: np.ndarray, errors: np.ndarray, num_bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return some guides, ascending, and the mean absolute error near each."""
    mean = float(errors.mean())
    bins = [one for one in np.array_split(np.argsort(guides, kind="stable"), num_bins) if len(one)]
    sums = np.array([errors[one].sum() for one in bins]) + NUM_PSEUDO_ERRORS * mean
    spreads = sums / (np.array([len(one) for one in bins]) + NUM_PSEUDO_ERRORS)
    spreads = np.maximum(spreads, MIN_RELATIVE_SPREAD * mean or 1.0)
    # Guides may be equal, such as the predictions of a constant model.
    at, first = np.unique([np.median(guides[one]) for one in bins], return_index=True)
    return _with_ends(at, spreads[first], float(guides.min()), float(guides.max()))


def _with_ends(
    at: np.ndarray, spreads: np.ndarray, least: float, largest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Add the least and the largest guide, to which the nearest line goes on."""
    if len(at) < 2:
        return at, spreads
    inner, ends = [0, -1], np.array([least, largest])
    slopes = (np.diff(spreads) / np.diff(at))[inner]
    lowest, highest = spreads[inner] / MAX_END_RATIO, spreads[inner] * MAX_END_RATIO
    at_ends = np.clip(spreads[inner] + slopes * (ends - at[inner]), lowest, highest)
    at, first = np.unique([ends[0], *at, ends[1]], return_index=True)
    return at, np.array([at_ends[0], *spreads, at_ends[1]])[first]


def conformal_quantile(scores: np.ndarray, level: float) -> float | None:
    """Return the score that a new one stays below with a probability of `level` at least.

    It is the k-th smallest of n, with k = ceil((n + 1) level); None if k is above n.

    References:
        Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005.

    """
    rank = math.ceil((len(scores) + 1) * level)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else None


def from_json(content: Mapping[str, Any] | None) -> Coverage | None:
    """Return the value of `coverage` in run.json. Raises ValueError if it is damaged."""
    if content is None:
        return None
    try:
        kind: type[Coverage] = Sets if "threshold" in content else Intervals
        coverage = kind(**content)
        numbers = [
            value for part in coverage for value in (part if isinstance(part, list) else [part])
        ]
        is_valid = np.isfinite(np.array(numbers, "float64")).all() and 0 < coverage.level < 1
        if isinstance(coverage, Intervals):
            is_valid &= len(coverage.at) == len(coverage.spreads) > 0
            is_valid &= bool((np.diff(coverage.at) > 0).all())
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)[:100]) from error
    if not is_valid:
        raise ValueError("its numbers are none of a coverage")
    return coverage
