"""Differences of numbers from those of training, within a tolerance."""

from typing import NamedTuple

import numpy as np

Outputs = dict[str, np.ndarray]
# Outputs near 0 have rounding errors as large as typical outputs, whose size is this quantile.
TYPICAL_SIZE_QUANTILE = 0.25


class OutputsDifferError(ValueError):
    """Outputs differ from those of training; the message names the first or largest difference."""


class Difference(NamedTuple):
    """The difference of the number in a signature that uses the largest share of its tolerance.

    Attributes:
        value: the absolute difference.
        tolerance: the absolute tolerance of this number.

    """

    value: float
    tolerance: float

    @property
    def used_share(self) -> float:
        """The used share of the tolerance."""
        return self.value / self.tolerance


def compare_numbers(
    name: str, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> Difference:
    """Compare numbers, each with its own tolerance. Raises OutputsDifferError."""
    require_shape(name, given, expected)
    size = np.abs(expected, dtype="float64")
    finite = np.isfinite(expected)
    typical_size = (
        np.quantile(size[finite], TYPICAL_SIZE_QUANTILE, method="lower") if finite.any() else 1.0
    )
    allowed = tolerance * np.maximum(np.where(finite, size, 0.0), max(1.0, float(typical_size)))
    with np.errstate(invalid="ignore"):
        # Minus infinity, the padding of a list, equals itself.
        difference = np.where(given == expected, 0.0, np.abs(given.astype("float64") - expected))
    if len(wrong := np.argwhere(~(difference <= allowed))):  # NaN always fails
        excess = np.nan_to_num(difference / allowed, nan=np.inf)[tuple(wrong.T)]
        index = tuple(wrong[excess.argmax()])
        raise OutputsDifferError(
            f"{name} {list(map(int, index))} is {given[index]}, in training {expected[index]}, "
            f"which differ by more than {allowed[index]:.2g}"
        )
    if not difference.size:
        return Difference(0.0, tolerance)
    worst = np.unravel_index((difference / allowed).argmax(), difference.shape)
    return Difference(float(difference[worst]), float(allowed[worst]))


def require_shape(name: str, given: np.ndarray, expected: np.ndarray) -> None:
    """Raise OutputsDifferError unless both have the same shape."""
    if given.shape != expected.shape:
        raise OutputsDifferError(
            f"{name} has the shape {given.shape}, in training {expected.shape}"
        )
