"""Score parts of the test examples, and test whether each is worse than the rest."""

from typing import NamedTuple

import numpy as np
from scipy.special import gammainc, gammaincc, ndtr, stdtr, stdtrit
from scipy.stats import hypergeom

from apps.metrics import metric
from evaluation.intervals import TAILS, Interval, wilson
from evaluation.slices.cuts import Cut
from evaluation.slices.units import UnitScores

MIN_SKEWNESS = 1e-3  # with less a sum is normal


class Parts(NamedTuple):
    """Sums over the units of each part.

    Attributes:
        examples: number of units, [parts].
        numerators: sums of the numerators, [parts].
        denominators: sums of the denominators, [parts].
        squares: sums of the squares of the numerators, of the denominators, and of their products,
            [3, parts].

    """

    examples: np.ndarray
    numerators: np.ndarray
    denominators: np.ndarray
    squares: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """The ratio of each part; NaN without a denominator."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.numerators / self.denominators

    def variances(self) -> np.ndarray:
        """Variance of each ratio, by linearization."""
        ratio, (above, below, product) = self.ratios, self.squares
        sums = above - 2 * ratio * product + ratio**2 * below
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = self.examples / (self.examples - 1)
            return factor * np.maximum(sums, 0.0) / self.denominators**2


class Population(NamedTuple):
    """All units of the test set, of which a part is a sample.

    Attributes:
        units: their scores.
        ratio: the ratio of all.
        deviations: numerator minus `ratio` times denominator of each unit, whose sum is 0.
        are_shares: whether the ratio is the share of units whose value is 1, without weights.

    """

    units: UnitScores
    ratio: float
    deviations: np.ndarray
    are_shares: bool

    @classmethod
    def of(cls, units: UnitScores) -> "Population":
        """Return the population of these units."""
        total = units.denominators.sum()
        ratio = float(units.numerators.sum() / total) if total else 0.0
        deviations = units.numerators - ratio * units.denominators
        return cls(units, ratio, deviations, units.are_shares)

    def parts(self, codes: np.ndarray, count: int) -> Parts:
        """Sum over the units of each of `count` parts; a code of -1 is none."""
        shifted, size = codes.astype("int64") + 1, count + 1
        above, below = self.units.numerators, self.units.denominators
        examples = np.bincount(shifted, minlength=size)[1:].astype("float64")
        sums = np.bincount(shifted, above, size)[1:]
        if self.are_shares:
            return Parts(examples, sums, examples, np.stack([sums, examples, sums]))
        squares = [np.bincount(shifted, x, size)[1:] for x in (above**2, below**2, above * below)]
        return Parts(examples, sums, np.bincount(shifted, below, size)[1:], np.stack(squares))


def p_values(population: Population, parts: Parts) -> np.ndarray:
    """Return for each part the p-value of being worse than the rest, [parts].

    The null hypothesis is that the part is a random sample of the test set, drawn without
    replacement. The number of wrong units of a sample is hypergeometric. The distribution of
    other sums is approximated by Pearson's type III, which has their mean, variance and skewness.

    References:
        Berry and Mielke, "Moment Approximations as an Alternative to the F Test in Analysis of
        Variance", 1983.

    """
    units, sign = population.units, -metric(population.units.metric).sign
    total, examples = len(units.numerators), parts.examples
    if population.are_shares:
        bad = units.numerators if sign > 0 else 1 - units.numerators
        found = parts.numerators if sign > 0 else examples - parts.numerators
        return hypergeom.sf(np.round(found) - 1, total, round(bad.sum()), np.round(examples))
    sums = sign * (parts.numerators - population.ratio * parts.denominators)
    return pearson_tail(sums, sign * population.deviations, examples)


def pearson_tail(sums: np.ndarray, population: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Return the probability that samples of these sizes have at least these sums."""
    count = len(population)
    second, third = np.mean(population**2), np.mean(population**3)
    if count < 3 or not second:
        return np.ones(len(sums))
    others = count - examples
    variances = examples * others / (count - 1) * second
    thirds = examples * others * (others - examples) / ((count - 1) * (count - 2)) * third
    with np.errstate(invalid="ignore", divide="ignore"):
        z, skewness = sums / np.sqrt(variances), thirds / variances**1.5
        shape = 4 / np.square(skewness)
        root = np.sqrt(shape)
        right = gammaincc(shape, np.maximum(shape + z * root, 0.0))
        left = gammainc(shape, np.maximum(shape - z * root, 0.0))
    skewed = np.where(skewness > 0, right, left)
    found = np.where(np.abs(skewness) < MIN_SKEWNESS, ndtr(-z), skewed)
    return np.where(variances > 0, found, 1.0)


def of_clusters(
    population: Population, codes: np.ndarray, parts: Parts
) -> tuple[np.ndarray, np.ndarray]:
    """Return the p-value and the variance of each part if units depend on others in clusters.

    The variance of the difference between a part and the rest is that of the sums of clusters.

    References:
        Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", 1986.

    """
    units, count = population.units, len(parts.examples)
    sign = -metric(units.metric).sign
    names, clusters = np.unique(np.asarray(units.clusters), return_inverse=True)
    number, width = len(names), count + 1  # the last column holds the units of no part
    cells = clusters * width + np.where(codes >= 0, codes, count)
    above, below = (
        np.bincount(cells, terms, number * width).reshape(number, width)
        for terms in (units.numerators, units.denominators)
    )
    inside = above[:, :count] - np.nan_to_num(parts.ratios) * below[:, :count]
    others = [total.sum(1, keepdims=True) - total[:, :count] for total in (above, below)]
    outside = others[0] - np.nan_to_num(rest(population, parts)) * others[1]
    growth = number / max(1, number - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = inside / parts.denominators - outside / others[1].sum(0)
        errors = np.sqrt(np.square(sums).sum(0) * growth)
        gaps = sign * (parts.ratios - rest(population, parts))
        p = stdtr(max(1, number - 1), -gaps / errors)
        variances = np.square(inside).sum(0) / parts.denominators**2 * growth
    return np.where(errors > 0, p, 1.0), variances


def interval(population: Population, examples: float, ratio: float, variance: float) -> Interval:
    """Return the 95 % interval of the score of a part.

    It is Wilson's for a share, with the number of examples that has this variance; for an error,
    Student's interval of the logarithm.
    """
    units = population.units
    if metric(units.metric).high == 1.0:
        varies = variance > 0 and 0 < ratio < 1 and not population.are_shares
        count = min(ratio * (1 - ratio) / variance, examples) if varies else examples
        return wilson(ratio, max(count, 1.0))
    if not ratio > 0 or examples < 2:
        return score(units, ratio), score(units, ratio)
    half = stdtrit(examples - 1, TAILS[1]) * np.sqrt(variance) / ratio
    low, high = ratio * np.exp([-half, half])
    return score(units, float(low)), score(units, float(high))


def score(units: UnitScores, ratio: float) -> float:
    """Return the score of a ratio."""
    return float(np.sqrt(ratio)) if units.is_root else float(ratio)


def combined(first: Cut, second: Cut) -> Cut:
    """Return the cut into the pairs of the parts of two cuts."""
    width = len(second.labels)
    both = (first.codes >= 0) & (second.codes >= 0)
    codes = np.where(both, first.codes.astype("int32") * width + second.codes, -1)
    labels = (f"{one} and {other}" for one in first.labels for other in second.labels)
    subject = f"{first.subject} and {second.subject}"
    return Cut(subject, codes, tuple(labels), pair=(first, second))


def rest(population: Population, parts: Parts) -> np.ndarray:
    """Return the ratio of the units outside of each part; NaN without any."""
    above = population.units.numerators.sum() - parts.numerators
    below = population.units.denominators.sum() - parts.denominators
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)
