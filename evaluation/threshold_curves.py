"""Curves over all thresholds: ROC, precision-recall, and cumulative gain, with pointwise bands.

The bands come from resampled counts in bins of scores, so that their cost does not grow with the
number of examples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.areas import ROUNDING, rank
from evaluation.intervals import Z, effective_size
from evaluation.tasks.class_scores import ClassScores

MAX_BINS = 400  # on each side, with equally many positive or negative examples
NUM_RESAMPLES = 400
GRID = np.linspace(0.0, 1.0, 101)
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the examples, the highest scores first


class Counts(NamedTuple):
    """Cumulative weights of examples at descending thresholds, beginning with 0.

    Attributes:
        positive: [..., thresholds].
        negative: [..., thresholds].

    """

    positive: np.ndarray
    negative: np.ndarray


class Curve(NamedTuple):
    """A curve at the positions GRID, and its pointwise 95 % band."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Curves(NamedTuple):
    """The curves of a class.

    Attributes:
        roc: true positive rate by false positive rate.
        precision: by recall.
        gain: share of the positive examples found, by the share of examples that are selected.

    """

    roc: Curve
    precision: Curve
    gain: Curve


def counts(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> Counts:
    """Return the cumulative counts of a class, at no more than 2 MAX_BINS thresholds."""
    ranked = rank(scores, truth, weights)
    positive, negative = (
        np.concatenate([[0.0], side[::-1].cumsum()]) for side in (ranked.positive, ranked.negative)
    )
    kept = {0, len(positive) - 1}
    for side in (positive, negative):
        kept |= {*np.searchsorted(side, np.linspace(0, side[-1], MAX_BINS)).tolist()}
    thresholds = np.array(sorted(kept))
    return Counts(positive[thresholds], negative[thresholds])


def curves(scores: ClassScores, column: int = 0) -> Curves:
    """Return the curves of a class with their bands."""
    found = counts(scores.scores[:, column], scores.truth[:, column], scores.weights)
    size = len(scores.truth) if scores.weights is None else effective_size(scores.weights)
    resamples = resample(found, int(size))
    unit = size / (found.positive[-1] + found.negative[-1])  # examples of a weight of 1
    positive, total = unit * found.positive[-1], np.full(len(GRID), size)
    precision = precisions(found)
    with np.errstate(divide="ignore"):
        selected = np.where(precision > 0, positive * GRID / precision, size)
    return Curves(
        _with_band(rates(found), [rates(one) for one in resamples], np.full(len(GRID), positive)),
        _with_band(precision, [precisions(one) for one in resamples], np.clip(selected, 1, total)),
        _gain_curve(found, resamples, size),
    )


def _gain_curve(found: Counts, resamples: list[Counts], size: float) -> Curve:
    """Return cumulative gain with its band.

    The gain is p x / (p x + q (1 - x)) for the shares p and q of positive examples among the
    selected share x and among the others. Both are independent, so that the distances of the gain
    from those with the ends of one of their intervals are added as squares.

    References:
        Zou and Donner, "Construction of Confidence Limits about Effect Measures: A General
        Approach", 2008.

    """
    share = np.clip(GRID, 1 / (size + 1), 1 - 1 / (size + 1))
    drawn = [_positive_shares(one, share) for one in resamples]
    selected, others = _positive_shares(found, share)
    p = _with_band(selected, [one for one, _ in drawn], size * share)
    q = _with_band(others, [one for _, one in drawn], size * (1 - share))

    def gain(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return p * share / np.maximum(p * share + q * (1 - share), ROUNDING)

    value = gain(p.value, q.value)
    low = value - np.hypot(value - gain(p.low, q.value), value - gain(p.value, q.high))
    high = value + np.hypot(gain(p.high, q.value) - value, gain(p.value, q.low) - value)
    value = gains(found)
    return Curve(value, np.clip(low, 0, value), np.clip(high, value, 1))


def _positive_shares(found: Counts, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of positive examples among the selected ones and among the others."""
    positive = found.positive[-1] * gains(found, share)
    total = found.positive[-1] + found.negative[-1]
    others = (found.positive[-1] - positive) / (total * (1 - share))
    return np.clip(positive / (total * share), 0, 1), np.clip(others, 0, 1)


def resample(found: Counts, size: int, seed: int = 0) -> list[Counts]:
    """Draw as many examples anew, from the bins between the thresholds."""
    steps = np.stack([np.diff(found.positive), np.diff(found.negative)])
    shares = (steps / steps.sum()).ravel()
    random = np.random.default_rng(seed)
    drawn = random.multinomial(size, shares, NUM_RESAMPLES).reshape(-1, *steps.shape)
    sums = np.concatenate([np.zeros((*drawn.shape[:2], 1)), drawn.cumsum(2)], 2)
    return [Counts(*one) for one in sums if one[0, -1] and one[1, -1]]


def rates(found: Counts, grid: np.ndarray = GRID) -> np.ndarray:
    """Return the true positive rate at false positive rates; the curve begins with its jump."""
    across, up = found.negative / found.negative[-1], found.positive / found.positive[-1]
    return _interpolated(grid, across, up)


def gains(found: Counts, grid: np.ndarray = GRID) -> np.ndarray:
    """Return the share of the positive examples among shares of all, the highest scores first."""
    selected = found.positive + found.negative
    return _interpolated(grid, selected / selected[-1], found.positive / found.positive[-1])


def precisions(found: Counts, grid: np.ndarray = GRID) -> np.ndarray:
    """Return the precision at recalls; between thresholds counts, not precisions, are linear.

    References:
        Davis and Goadrich, "The Relationship Between Precision-Recall and ROC Curves", 2006.

    """
    # The highest threshold of each recall; above the first positive example the lowest.
    rises = np.flatnonzero(np.diff(found.positive) > 0) + 1
    kept = np.concatenate([rises[:1] - 1, rises])
    wanted = np.maximum(grid * found.positive[-1], min(1.0, found.positive[rises[0]]))
    negative = np.interp(wanted, found.positive[kept], found.negative[kept])
    return wanted / (wanted + negative)


def _interpolated(grid: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Interpolate a curve that may rise vertically; there its upper end counts."""
    last = np.append(across[1:] > across[:-1], True)
    return np.interp(grid, across[last], up[last])


def _with_band(value: np.ndarray, resampled: Sequence[np.ndarray], most: np.ndarray) -> Curve:
    """Add Wilson's intervals with the variance of the resamples, for at most `most` examples."""
    variance, mean = (
        (np.var(resampled, 0), np.mean(resampled, 0)) if resampled else (0 * value,) * 2
    )
    possible = np.clip(mean * (1 - mean), 0, None)
    effective = np.divide(possible, variance, out=most.astype("float64"), where=variance > ROUNDING)
    size = np.clip(effective, 1.0, np.maximum(most, 1.0))
    spread = value * (1 - value)
    square = Z * Z / size
    middle = (value + square / 2) / (1 + square)
    half = Z / (1 + square) * np.sqrt(spread / size + square / (4 * size))
    return Curve(value, np.clip(middle - half, 0, value), np.clip(middle + half, value, 1))


def gain_table(scores: ClassScores) -> list[dict[str, Any]]:
    """Return cumulative gain and lift of the examples with the highest scores, by their share.

    `found` is the share of the positive examples among them, `lift` how many times as many that
    are as among as many random examples.
    """
    curve = curves(scores).gain
    prevalence = float(np.average(scores.truth[:, 0], weights=scores.weights))
    rows = []
    for share in SHARES:
        if share * len(scores.truth) < 1:
            continue
        found, low, high = (float(np.interp(share, GRID, part)) for part in curve)
        rows.append(
            {
                "selected": share,
                "found": found,
                "found_interval": [low, high],
                "lift": found / share,
                "lift_interval": [low / share, high / share],
                "precision": min(found * prevalence / share, 1.0),
            }
        )
    return rows
