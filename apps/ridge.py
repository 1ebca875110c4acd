"""Ridge regression in closed form, from blocks of rows: memory does not grow with their number."""

import functools
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

PENALTIES = np.logspace(-7, 3, 41)  # among which generalised cross-validation chooses
MOST_FREEDOM = 0.9  # degrees of freedom an example, beyond which it cannot be judged


def ridge(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]], l2: float | None, *, wide: bool = False
) -> list[np.ndarray]:
    """The kernel [n, 1] and bias [1] that minimise mean (x w + b - y)^2 + l2 |w|^2.

    Args:
        blocks: pairs of x [rows, n] and y [rows], of which one is held at a time.
        l2: the penalty; None for the one with the least error by generalised cross-validation.
        wide: all blocks are held, and a matrix [rows, rows] of them in place of [n, n].

    """
    if wide:
        x, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        middle, centre = x.mean(0), float(y.mean())
        x, y = x - middle, y - centre
        kernel = x.T @ _solved(x @ x.T / len(x), y / len(x), l2, _shares_of_rows(y))
    else:
        sums = functools.reduce(_Sums.joined, (_Sums.of(x, y) for x, y in blocks))
        middle, centre = sums.middle, sums.centre
        square, right = sums.gram / sums.size, sums.cross / sums.size
        kernel = _solved(square, right, l2, _shares_of_columns(right, sums))
    bias = centre - middle @ kernel
    return [kernel[:, None].astype("float32"), np.array([bias], "float32")]


class _Sums(NamedTuple):
    """Of x [rows, n] and y [rows]: number, means, sums of squares and products about the means.

    References:
        Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing
        Sample Variances, 1979, equation 2.1, for joining two.

    """

    size: int
    middle: np.ndarray
    centre: float
    gram: np.ndarray
    cross: np.ndarray
    power: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> "_Sums":
        middle, centre = x.mean(0), float(y.mean())
        x, y = x - middle, y - centre
        return cls(len(x), middle, centre, x.T @ x, x.T @ y, float(y @ y))

    def joined(self, other: "_Sums") -> "_Sums":
        size = self.size + other.size
        share = other.size / size
        far, off = other.middle - self.middle, other.centre - self.centre
        gram = self.gram  # changed in place: it is the largest
        gram += other.gram
        gram += np.outer(far, far * (share * self.size))
        return _Sums(
            size,
            self.middle + share * far,
            self.centre + share * off,
            gram,
            self.cross + other.cross + far * (off * share * self.size),
            self.power + other.power + off**2 * share * self.size,
        )


class _Shares(NamedTuple):
    """Of the mean square of y: the shares along each eigenvector, and what lies along none."""

    along: Any  # from eigenvalues and eigenvectors
    mean_square: float
    size: int


def _shares_of_rows(y: np.ndarray) -> _Shares:
    def along(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:  # noqa: ARG001
        return (vectors.T @ y) ** 2 / len(y)

    return _Shares(along, float(y @ y) / len(y), len(y))


def _shares_of_columns(right: np.ndarray, sums: _Sums) -> _Shares:
    def along(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        least = len(values) * np.finfo("float64").eps * max(values.max(), 1e-300)
        return np.where(values > least, (vectors.T @ right) ** 2 / np.maximum(values, least), 0)

    return _Shares(along, sums.power / sums.size, sums.size)


def _solved(square: np.ndarray, right: np.ndarray, l2: float | None, shares: _Shares) -> np.ndarray:
    """(square + l2)^-1 right; what a singular square leaves open is zero."""
    if not len(right):
        return right
    if l2 is None:
        values, vectors = linalg.eigh(square)
        values = np.maximum(values, 0.0)
        l2 = _penalty(values, shares.along(values, vectors), shares)
        return vectors @ ((vectors.T @ right) / (values + l2))
    square.flat[:: len(square) + 1] += l2
    with warnings.catch_warnings():
        warnings.simplefilter("error", linalg.LinAlgWarning)
        try:
            return linalg.solve(square, right, assume_a="pos")
        except (linalg.LinAlgError, linalg.LinAlgWarning):
            return linalg.lstsq(square, right, lapack_driver="gelsy")[0]


def _penalty(values: np.ndarray, along: np.ndarray, shares: _Shares) -> float:
    """The penalty with the least error by generalised cross-validation.

    References:
        Golub, Heath and Wahba, Generalized Cross-Validation as a Method for Choosing a Good
        Ridge Parameter, Technometrics 1979, equation 1.4.

    """
    kept = PENALTIES[:, None] / (values + PENALTIES[:, None])
    left = shares.mean_square - along.sum() + (along * kept**2).sum(1)
    free = (1 + (1 - kept).sum(1)) / shares.size
    errors = np.where(free < MOST_FREEDOM, left / np.maximum(1 - free, 0.01) ** 2, np.inf)
    return float(PENALTIES[np.argmin(errors)])
