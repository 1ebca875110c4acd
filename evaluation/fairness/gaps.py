"""The largest gaps between groups, with intervals and a test of each pair."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import hypergeom

from evaluation.fairness.rates import Rate, resampled
from evaluation.intervals import TAILS, Interval

EQUALIZED_ODDS = "equalized_odds"


class Gap(NamedTuple):
    """The largest difference of a rate between two groups.

    Attributes:
        name: of the rate.
        gap: the largest rate less the smallest one.
        interval: 95 % bootstrap interval of the gap, shifted by the bias: random differences make
            the gap of resamples larger than that of the test examples.
        ratio: the smallest rate over the largest one; 1 if both are 0.
        ratio_interval: its 95 % interval.
        groups: the positions of the groups with the largest and the smallest rate.

    """

    name: str
    gap: float
    interval: Interval
    ratio: float
    ratio_interval: Interval
    groups: tuple[int, int]


class Pair(NamedTuple):
    """Two groups with different rates; the first one has the larger rate.

    `p` is that of Fisher's test, two-sided.
    """

    name: str
    groups: tuple[int, int]
    difference: float
    p: float


def gap_of(rate: Rate) -> Gap | None:
    """Return the gap between the judged groups; None if there are fewer than two."""
    judged = np.flatnonzero(rate.is_judged)
    if len(judged) < 2:
        return None
    values, draws = rate.values[judged], resampled(rate)
    high, low = int(judged[values.argmax()]), int(judged[values.argmin()])
    return _gap(rate.name, values, _gaps(draws), _ratios(draws), (high, low))


def equalized_odds(tpr: Rate, fpr: Rate) -> Gap | None:
    """Return the larger gap of the true and the false positive rates, and the smaller ratio."""
    gaps = [gap_of(tpr), gap_of(fpr)]
    known = [gap for gap in gaps if gap is not None]
    if len(known) < 2:
        return None
    draws = [resampled(rate, seed) for seed, rate in enumerate((tpr, fpr))]
    widest = max(known, key=lambda one: one.gap)
    gap_draws = np.maximum(*map(_gaps, draws))
    ratio_draws = np.minimum(*map(_ratios, draws))
    ratio = min(one.ratio for one in known)
    return Gap(
        EQUALIZED_ODDS,
        widest.gap,
        _shifted(widest.gap, gap_draws),
        ratio,
        _shifted(ratio, ratio_draws),
        widest.groups,
    )


def _gap(
    name: str,
    values: np.ndarray,
    gap_draws: np.ndarray,
    ratio_draws: np.ndarray,
    groups: tuple[int, int],
) -> Gap:
    gap, ratio = float(_gaps(values)), float(_ratios(values))
    return Gap(name, gap, _shifted(gap, gap_draws), ratio, _shifted(ratio, ratio_draws), groups)


def _gaps(values: np.ndarray) -> np.ndarray:
    return values.max(-1) - values.min(-1)


def _ratios(values: np.ndarray) -> np.ndarray:
    largest = values.max(-1)
    safe = np.where(largest > 0, largest, 1.0)
    return np.where(largest > 0, values.min(-1) / safe, 1.0)


def _shifted(estimate: float, draws: np.ndarray) -> Interval:
    """Return the percentiles of resamples, less their bias, within 0 and 1."""
    low, high = np.quantile(draws, TAILS) - (draws.mean() - estimate)
    low, high = min(float(low), estimate), max(float(high), estimate)
    return max(low, 0.0), min(high, 1.0)


def pairs_of(rate: Rate) -> list[Pair]:
    """Return all pairs of judged groups with the p-value of a difference."""
    judged = np.flatnonzero(rate.is_judged)
    rows, columns = np.triu_indices(len(judged), 1)
    if not len(rows):
        return []
    first, second = judged[rows], judged[columns]
    sizes, values = np.round(rate.sizes), np.nan_to_num(rate.values)
    hits = np.round(sizes * values)
    population = (sizes[first] + sizes[second], hits[first] + hits[second], sizes[first])
    tails = (
        hypergeom.cdf(hits[first], *population),
        hypergeom.sf(hits[first] - 1, *population),
    )
    p = np.minimum(1.0, 2 * np.minimum(*tails))
    found = []
    for a, b, value in zip(first.tolist(), second.tolist(), p.tolist(), strict=True):
        difference = float(values[a] - values[b])
        groups = (a, b) if difference >= 0 else (b, a)
        found.append(Pair(rate.name, groups, abs(difference), value))
    return found


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values by Holm's method."""
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    corrected = np.minimum(1.0, np.maximum.accumulate(np.asarray(p)[order] * factors))
    found = np.empty(len(p))
    found[order] = corrected
    return found.tolist()


def to_json(gap: Gap, labels: Sequence[str]) -> dict[str, Any]:
    """Return a gap as in scores.json."""
    high, low = (labels[k] for k in gap.groups)
    return {
        "name": gap.name,
        "gap": gap.gap,
        "interval": [*gap.interval],
        "ratio": gap.ratio,
        "ratio_interval": [*gap.ratio_interval],
        "high": high,
        "low": low,
    }
