"""The area under the ROC curve (AUC) and the average precision, with their sampling errors.

Each is computed with the influence of every example on it. The squares of the influences give the
variance, and the differences of two models' influences on the same examples that of the gain.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit

from evaluation.intervals import TAILS, Interval, effective_size, wilson

MAX_VARIANCE = 0.25  # of a number from 0 to 1
ROUNDING = 1e-12  # errors of sums


class Area(NamedTuple):
    """A number from 0 to 1 that measures how well scores rank, and its sampling error.

    Attributes:
        value: the number.
        influence: of each example, [n]; the number changes by the influence / n if the example
            counts twice.
        size: the number of examples of the rarer class, on which the error depends most.
        error: standard error.
        freedom: degrees of freedom of the error.

    """

    value: float
    influence: np.ndarray
    size: float
    error: float
    freedom: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval: Student's of the logit, or Wilson's of an area without an error."""
        if min(self.value, 1 - self.value, self.error) < ROUNDING:
            return wilson(self.value, max(self.size, 1.0))
        slope = self.value * (1 - self.value)
        half = stdtrit(self.freedom, TAILS[1]) * self.error / slope
        middle = logit(self.value)
        return float(expit(middle - half)), float(expit(middle + half))


class RankedGroups(NamedTuple):
    """Examples of equal score as groups, by ascending score.

    Attributes:
        group: the number of each example's group, [n].
        values: the score of each group, [groups].
        positive: weight of the positive examples of each group, [groups].
        negative: the same of the negative ones.

    """

    group: np.ndarray
    values: np.ndarray
    positive: np.ndarray
    negative: np.ndarray


def rank(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> RankedGroups:
    """Group examples by their score [n]; `truth` [n] tells the positive ones."""
    values, group = np.unique(scores, return_inverse=True)
    weights = np.ones(len(scores)) if weights is None else weights
    positive = np.bincount(group, weights * truth, len(values))
    return RankedGroups(
        group, values, positive, np.bincount(group, weights, len(values)) - positive
    )


def areas(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> tuple[Area, Area] | None:
    """Return the AUC and the average precision of a class; None if one side has no examples."""
    sizes = [_size(weights, side, len(truth)) for side in (truth, ~truth)]
    if min(sizes) == 0:
        return None
    ranked = rank(scores, truth, weights)
    relative = np.ones(len(truth)) if weights is None else weights / weights.mean()
    return _auc(ranked, truth, relative, sizes), _average_precision(ranked, truth, relative, sizes)


def _size(weights: np.ndarray | None, side: np.ndarray, count: int) -> float:
    """Return the effective number of the examples of a side; 0 if their weights are all 0."""
    chosen = np.ones(count)[side] if weights is None else weights[side]
    return effective_size(chosen) if chosen.any() else 0.0


def _auc(ranked: RankedGroups, truth: np.ndarray, relative: np.ndarray, sizes: list[float]) -> Area:
    """Compute the AUC, the share of pairs in the right order; half of the ties count.

    References:
        DeLong, DeLong and Clarke-Pearson, "Comparing the Areas under Two or More Correlated
        Receiver Operating Characteristic Curves", 1988.

    """
    positive, negative = ranked.positive, ranked.negative
    num_positive, num_negative = positive.sum(), negative.sum()
    share = num_positive / (num_positive + num_negative)
    below = (np.cumsum(negative) - negative / 2) / num_negative
    above = 1 - (np.cumsum(positive) - positive / 2) / num_positive
    value = float(positive @ below / num_positive)
    influence = np.where(
        truth,
        (below[ranked.group] - value) / share,
        (above[ranked.group] - value) / (1 - share),
    )
    weighted = relative * influence
    variances = [
        _variance(weighted[side], size, part)
        for side, size, part in zip((truth, ~truth), sizes, (share, 1 - share), strict=True)
    ]
    return with_error(min(value, 1.0), weighted, sizes, variances)


def _variance(influence: np.ndarray, size: float, share: float) -> float:
    """Return what the examples of a side, a share of all, contribute to the variance."""
    if size <= 1:
        return MAX_VARIANCE  # a single example does not show how much others differ
    count = len(influence) / share
    return float(np.square(influence).sum() / count**2 * size / (size - 1))


def _average_precision(
    ranked: RankedGroups, truth: np.ndarray, relative: np.ndarray, sizes: list[float]
) -> Area:
    """Compute the mean precision at the score of each positive example, and its influences.

    With a(t) and b(t), the weights of positive and of all examples of a score of t or more, and
    P = a / b, the average precision is A = sum(p P) / sum(p) over the positive weights p. The
    derivative for more weight on an example (y, s) is
    y P(s) + sum over t <= s of p(t) (y - P(t)) / b(t), less y A, over the share of positives.
    """
    positive, total = ranked.positive, ranked.positive + ranked.negative
    num_positive = positive.sum()
    reached = total[::-1].cumsum()[::-1]
    above = np.divide(
        positive[::-1].cumsum()[::-1], reached, out=np.zeros(len(total)), where=reached > 0
    )
    per_reached = np.divide(positive, reached, out=np.zeros(len(total)), where=reached > 0)
    value = float(positive @ above / num_positive)
    of_positive = above + np.cumsum(per_reached) - value
    of_all = np.cumsum(per_reached * above)
    share = num_positive / total.sum()
    influence = (truth * of_positive[ranked.group] - of_all[ranked.group]) / share
    weighted = relative * influence
    variance = float(np.square(weighted).sum() / len(truth) ** 2)
    variance = variance if sizes[0] > 1 else MAX_VARIANCE
    return with_error(min(value, 1.0), weighted, [sizes[0]], [variance])


def with_error(
    value: float, influence: np.ndarray, sizes: list[float], variances: list[float]
) -> Area:
    """Return an area whose variance is the sum of the variances of parts of these sizes.

    The degrees of freedom are Satterthwaite's.
    """
    total = sum(variances)
    terms = [one**2 / max(size - 1, 1.0) for one, size in zip(variances, sizes, strict=True)]
    freedom = max(total**2 / sum(terms), 1.0) if sum(terms) > 0 else max(min(sizes) - 1, 1.0)
    return Area(value, influence, min(sizes), float(np.sqrt(total)), freedom)


def macro(found: list[Area], influence: np.ndarray) -> Area:
    """Return the unweighted mean of the areas of several classes of the same examples.

    Args:
        found: the area of each class; their influences are not read.
        influence: the sum of the influences on these areas, [n].

    """
    influence = influence / len(found)
    parts = with_error(0.0, influence, [one.size for one in found], [one.error**2 for one in found])
    variance = np.square(influence).sum() / len(influence) ** 2
    # A class with a single example has the largest variance, which the influences do not show.
    variance += sum(one.error**2 for one in found if one.size <= 1) / len(found) ** 2
    value, size = float(np.mean([one.value for one in found])), sum(one.size for one in found)
    return Area(value, influence, size, float(np.sqrt(variance)), parts.freedom)
