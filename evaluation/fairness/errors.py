"""Errors of predicted numbers by group."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from evaluation.fairness.rates import MIN_EXAMPLES
from evaluation.intervals import TAILS, Interval, effective_size

NAMES = ("rmse", "mean_error")


class GroupErrors(NamedTuple):
    """The mean error and the mean squared error of a group, with their variances.

    Attributes:
        size: number of examples; with weights the effective one.
        means: mean squared error and mean error, predicted minus true, [2].
        variances: of these means, [2].

    """

    size: float
    means: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(cls, residuals: np.ndarray, weights: np.ndarray | None = None) -> "GroupErrors":
        """Return the errors of the residuals of a group."""
        terms = np.stack([residuals**2, residuals])
        size = float(len(residuals)) if weights is None else effective_size(weights)
        means = np.average(terms, axis=1, weights=weights)
        squares = np.average((terms - means[:, None]) ** 2, axis=1, weights=weights)
        return cls(size, means, squares / max(size - 1, 1.0))

    @property
    def is_judged(self) -> bool:
        """Whether the group has enough examples."""
        return self.size >= MIN_EXAMPLES

    def score(self, name: str) -> float:
        """Return the RMSE or the mean error."""
        return float(np.sqrt(self.means[0])) if name == "rmse" else float(self.means[1])

    def variance(self, name: str) -> float:
        """Return the variance of a score; that of a root by the delta method."""
        if name == "mean_error":
            return float(self.variances[1])
        return float(self.variances[0] / (4 * self.means[0])) if self.means[0] > 0 else 0.0

    def interval(self, name: str) -> Interval:
        """Return Student's 95 % interval; of the RMSE that of its logarithm."""
        value = self.score(name)
        if self.size < 2 or not self.means[0] > 0:
            return value, value
        half = float(stdtrit(self.size - 1, TAILS[1]))
        if name == "mean_error":
            half *= float(np.sqrt(self.variances[1]))
            return value - half, value + half
        factor = float(np.exp(half * np.sqrt(self.variances[0]) / self.means[0] / 2))
        return value / factor, value * factor


class ErrorPair(NamedTuple):
    """Two groups whose score differs; the first one has the larger score.

    `scores` are those of the two, `interval` is the 95 % interval of their difference, and `p` that
    of Welch's test.
    """

    name: str
    groups: tuple[int, int]
    scores: tuple[float, float]
    difference: float
    interval: Interval
    p: float


def pairs_of(found: Sequence[GroupErrors | None], name: str) -> list[ErrorPair]:
    """Return all pairs of judged groups, with the difference of a score."""
    judged = [(k, one) for k, one in enumerate(found) if one is not None and one.is_judged]
    return [_pair(name, *pair) for pair in itertools.combinations(judged, 2)]


def _pair(name: str, first: tuple[int, GroupErrors], second: tuple[int, GroupErrors]) -> ErrorPair:
    if first[1].score(name) < second[1].score(name):
        first, second = second, first
    numbers, sides = (first[0], second[0]), (first[1], second[1])
    scores = (sides[0].score(name), sides[1].score(name))
    difference = scores[0] - scores[1]
    variances = [one.variance(name) for one in sides]
    error = float(np.sqrt(sum(variances)))
    if not error > 0:
        return ErrorPair(name, numbers, scores, difference, (difference, difference), 1.0)
    parts = (v**2 / (one.size - 1) for v, one in zip(variances, sides, strict=True))
    freedom = sum(variances) ** 2 / sum(parts)
    half = float(stdtrit(freedom, TAILS[1])) * error
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    interval = (difference - half, difference + half)
    return ErrorPair(name, numbers, scores, difference, interval, p)
