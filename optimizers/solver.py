"""What solvers share: optimizers that see all examples at once and know when they are done.

NumPy and SciPy alone: which backend Keras has is nothing to them.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from optimizers.rule import require

Value = tuple[float, np.ndarray]


class Found(NamedTuple):
    """Where a solver is after an iteration.

    Attributes:
        weights: float64 [n].
        value: of the function there.
        slope: the largest absolute number of the gradient there.

    """

    weights: np.ndarray
    value: float
    slope: float


class SolverError(ValueError):
    """A function that cannot be minimised, such as one that is not finite at the start."""

    exit_status = 1


class Solver:
    """Minimises a smooth function of float64 weights [n], an iteration at a time.

    Not a keras.optimizers.Optimizer: a step needs the function, not only a gradient. Attributes:
        needs: what the function gives besides its value.
    """

    needs: ClassVar[str] = "gradient"

    def __init__(self, tolerance: float) -> None:
        """Keep the tolerance: of the slope, below which the minimum is reached."""
        require("tolerance", tolerance)
        self.tolerance = tolerance

    def minimise(self, function: Callable[[np.ndarray], Any], start: Any) -> Iterator[Found]:
        """Better weights after each iteration; ends at a minimum, or where no step is better.

        Raises SolverError where the function or what comes with it is not finite at
        the start.
        """
        raise NotImplementedError

    def done(self, slope: float) -> bool:
        """Whether a minimum is reached."""
        return slope <= self.tolerance


def at_start(*numbers: Any) -> None:
    """Raise SolverError where a number is not finite."""
    if not all(np.isfinite(one).all() for one in numbers):
        raise SolverError(
            "Received a function that is not finite where the search starts; expected numbers. "
            "Look for missing or huge values in the data, or start elsewhere."
        )


def solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Matrix^-1 right; None where the symmetric matrix is not positive definite."""
    try:
        return linalg.cho_solve(linalg.cho_factor(matrix), right)
    except linalg.LinAlgError:
        return None


def steepest(gradient: np.ndarray) -> float:
    """The largest absolute number; infinite where one is not finite."""
    found = float(np.abs(gradient).max(initial=0.0))
    return found if math.isfinite(found) else math.inf
