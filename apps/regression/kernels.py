"""Kernel ridge regression on rows, with options chosen by the leave-one-out error."""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import log_softmax

EXPONENT = 0.7  # of distances
# In lengths: below it the kernel is nearly straight. A peak would magnify the rounding of numbers.
SMOOTH_DISTANCE = 1e-3
MAX_TRIED_EXAMPLES = 1_500  # by which the options are chosen
LENGTHS = (0.25, 0.5, 1.0, 4.0)  # candidates, in median distances
NOISES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # candidates
MAX_LOGIT_SCALE = 50.0
MIN_CLASS_SHARE = 1e-5


class KernelOptions(NamedTuple):
    """Options of kernel ridge regression.

    Attributes:
        length: unit of the distances, which add up the differences of all features.
        noise: variance of the target's noise, in units of the kernel; the penalty.
        logit_scale: factor from predicted differences of class shares to logits; 0 if the features
            say nothing about the target.
        shares: the mean share of each class; None for a target of numbers.

    """

    length: float
    noise: float
    logit_scale: float = 1.0
    shares: np.ndarray | None = None

    @property
    def bias(self) -> np.ndarray:
        """Logits of the mean shares of the classes; 0 for a number, [outputs]."""
        return np.zeros(1) if self.shares is None else np.log(self.shares)


class KernelData(NamedTuple):
    """Features and targets of kernel ridge regression.

    Attributes:
        numbers: features that are numbers, [rows, n].
        flags: features that are 0 or 1, times their distance, [rows, f].
        targets: standardised numbers, or class shares less their means, [rows, outputs].
        root_weights: square roots of the weights of the rows, which have the mean 1, [rows].

    """

    numbers: np.ndarray
    flags: np.ndarray
    targets: np.ndarray
    root_weights: np.ndarray

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.targets)

    def select(self, rows: np.ndarray) -> "KernelData":
        """Return some of the rows."""
        return KernelData(*(part[rows] for part in self))

    def thinned(self, count: int) -> "KernelData":
        """Return at most `count` rows, evenly spread."""
        if self.num_rows <= count:
            return self
        rows = np.linspace(0, self.num_rows - 1, count).astype(int)
        return self.select(rows)

    @property
    def weighted_targets(self) -> np.ndarray:
        """The targets times their root weights."""
        return self.targets * self.root_weights[:, None]

    def weighted(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix [rows, rows] times the root weights of both rows."""
        return matrix * self.root_weights * self.root_weights[:, None]

    def distances(self, other: "KernelData") -> np.ndarray:
        """Return the summed differences between rows, [rows, rows of the other]."""
        distances = cdist(self.numbers, other.numbers, "cityblock")
        # Of features that are 0 or c: |f - g| = f + g - 2 f g / c.
        distance = max(self.flags.max(initial=0), other.flags.max(initial=0)) or 1.0
        distances += self.flags.sum(1)[:, None] + other.flags.sum(1)
        distances -= (2 / distance) * (self.flags @ other.flags.T)
        return np.maximum(distances, 0)


class KernelFit(NamedTuple):
    """The centers, the coefficients of their kernels [centers, outputs], and the options."""

    centers: KernelData
    coefficients: np.ndarray
    options: KernelOptions

    def predict(self, data: KernelData) -> np.ndarray:
        """Return standardised numbers or logits, [rows, outputs]."""
        kernels = kernel(data.distances(self.centers), self.options.length)
        return kernels @ (self.options.logit_scale * self.coefficients) + self.options.bias


def kernel(distances: np.ndarray, length: float) -> np.ndarray:
    """Return the kernel of distances, 1 for equal examples.

    It is exp(s^p - (d / length + s)^p), with the exponent p and the smooth distance s.

    With sums of absolute differences it is positive definite, since the power less its start is a
    Bernstein function.

    References:
        Schilling, Song and Vondracek, Bernstein Functions, 2012, chapters 3 and 4.

    """
    scaled = distances / length + SMOOTH_DISTANCE
    return np.exp(SMOOTH_DISTANCE**EXPONENT - scaled**EXPONENT)


def choose_options(data: KernelData, shares: np.ndarray | None) -> KernelOptions:
    """Choose the options by the leave-one-out error of some examples.

    Args:
        data: of training.
        shares: the mean share of each class; None for a target of numbers.

    References:
        Rifkin and Lippert, Notes on Regularized Least Squares, MIT-CSAIL-TR-2007-025, for the
        leave-one-out error from one eigendecomposition.

    """
    data = data.thinned(MAX_TRIED_EXAMPLES)
    distances = data.distances(data)
    median = float(np.median(distances)) or 1.0
    targets = data.weighted_targets
    # Until a candidate predicts better than the mean.
    best = KernelOptions(median, NOISES[-1], logit_scale=0.0)
    errors, residuals = np.square(targets).mean(), targets
    for length in LENGTHS:
        values, vectors = linalg.eigh(data.weighted(kernel(distances, length * median)))
        along = vectors.T @ targets
        for noise in NOISES:
            inverse = 1 / (np.maximum(values, 0) + noise)
            # Of row i without row i: coefficient i over entry i, i of the inverse matrix.
            left_out = (vectors @ (along * inverse[:, None])) / (vectors**2 @ inverse)[:, None]
            if (error := np.square(left_out).mean()) < errors:
                best, errors, residuals = KernelOptions(length * median, noise), error, left_out
    if shares is None:
        return best
    if not best.logit_scale:
        return best._replace(shares=shares)
    predicted = data.targets - residuals / np.maximum(data.root_weights, 1e-12)[:, None]
    scale = _logit_scale(predicted, data, np.log(shares))
    return best._replace(logit_scale=scale, shares=shares)


def _logit_scale(predicted: np.ndarray, data: KernelData, log_shares: np.ndarray) -> float:
    """Return the factor of predictions with the highest likelihood of the classes."""
    rows, classes = np.arange(data.num_rows), data.targets.argmax(1)

    def loss(scale: float) -> float:
        log_likelihood = log_softmax(scale * predicted + log_shares, axis=1)[rows, classes]
        return -float(data.root_weights**2 @ log_likelihood)

    return float(minimize_scalar(loss, bounds=(0, MAX_LOGIT_SCALE), method="bounded").x)


def fit_kernel_ridge(data: KernelData, options: KernelOptions) -> KernelFit:
    """Fit coefficients to standardised targets, in time of the examples' third power."""
    matrix = data.weighted(kernel(data.distances(data), options.length))
    matrix.flat[:: len(matrix) + 1] += options.noise
    coefficients = linalg.solve(matrix, data.weighted_targets, assume_a="pos", overwrite_a=True)
    return KernelFit(data, coefficients * data.root_weights[:, None], options)
