"""Measures and tests of a difference between two samples."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SMOOTHING = 0.5  # examples that every bin has in addition: the logarithm of 0 is infinite
MIN_EXPECTED = 5.0  # examples of the smaller sample in a bin of the chi-square test


class TestResult(NamedTuple):
    """A test's name, its statistic and its p-value."""

    name: str
    statistic: float
    p: float


def psi(reference: np.ndarray, counts: np.ndarray) -> float:
    """Return the population stability index of two samples, given the counts of their bins.

    It is the sum over bins of (q - p) ln(q / p). Below 0.1 is usually called stable, above 0.25 a
    large shift.

    References:
        Siddiqi, Credit Risk Scorecards, 2006, chapter 9.

    """
    first, second = (
        (one + SMOOTHING) / (one.sum() + SMOOTHING * len(one)) for one in (reference, counts)
    )
    return float(((second - first) * np.log(second / first)).sum())


def chi_square(reference: np.ndarray, counts: np.ndarray) -> TestResult:
    """Test whether two samples have the same bins, by Pearson's chi-square of homogeneity.

    Bins with too few examples are merged into one.
    """
    from scipy import stats

    table = np.stack([reference, counts]).astype("float64")
    totals = table.sum(1)
    if not totals.all():
        return TestResult("chi-square", 0.0, 1.0)
    expected = table.sum(0) * totals.min() / totals.sum()
    rare = expected < MIN_EXPECTED
    merged = np.concatenate([table[:, ~rare], table[:, rare].sum(1, keepdims=True)], 1)
    merged = merged[:, merged.sum(0) > 0]
    if merged.shape[1] < 2:
        return TestResult("chi-square", 0.0, 1.0)
    found = stats.chi2_contingency(merged, correction=False)
    return TestResult("chi-square", float(found.statistic), float(found.pvalue))


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> TestResult:
    """Test whether two samples of numbers have the same distribution; NaN is a missing number.

    If any number is missing, the share of missing ones is tested too, and Bonferroni's correction
    joins both p-values.
    """
    from scipy import stats

    present = [one[~np.isnan(one)] for one in (first, second)]
    result = TestResult("Kolmogorov-Smirnov", 0.0, 1.0)
    if all(map(len, present)):
        found = stats.ks_2samp(*present, method="asymp")
        result = result._replace(statistic=float(found.statistic), p=float(found.pvalue))
    if all(len(one) == len(every) for one, every in zip(present, (first, second), strict=True)):
        return result
    counts = [
        np.array([len(one), len(every) - len(one)])
        for one, every in zip(present, (first, second), strict=True)
    ]
    return result._replace(p=min(1.0, 2 * min(result.p, chi_square(*counts).p)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number.

    References:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of
        Statistics 1979.

    """
    values = np.asarray(p_values, "float64")
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return corrected.tolist()
