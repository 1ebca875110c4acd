"""Base class of full-batch solvers, which need all examples at once and detect convergence.

Solvers use only NumPy and SciPy, so they do not depend on Keras's backend.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from optimizers.rule import require_in_range

ValueAndGradient = tuple[float, np.ndarray]


class Iterate(NamedTuple):
    """Result of one iteration of a solver.

    Attributes:
        weights: float64 [n].
        value: Value of the function at these weights.
        max_gradient: Largest absolute component of the gradient at these weights.

    """

    weights: np.ndarray
    value: float
    max_gradient: float


class SolverError(ValueError):
    """Raised if a function cannot be minimised, for example if it starts at infinity."""

    exit_status = 1


class Solver:
    """Method that minimises a smooth function of float64 weights [n], one iteration at a time.

    It is no keras.optimizers.Optimizer: a step needs the function, not only a gradient.
    `scipy.optimize.minimize` finds the same minima, of convex functions by as many evaluations, but
    runs to its end in one call: epochs, patience and time limits need one iteration at a time.

    Attributes:
        needs: What the function must return with its value: gradient, hessian or gauss_newton.

    """

    needs: ClassVar[str] = "gradient"

    def __init__(self, tolerance: float) -> None:
        """Store the tolerance, the largest gradient component at a minimum."""
        require_in_range("tolerance", tolerance)
        self.tolerance = tolerance

    def minimize(self, function: Callable[[np.ndarray], Any], start: Any) -> Iterator[Iterate]:
        """Yield better weights after each iteration, until no step improves them.

        Raises SolverError if the function or its derivatives are not finite at the start.
        """
        raise NotImplementedError

    def is_converged(self, max_gradient: float) -> bool:
        """Whether a minimum is reached."""
        return max_gradient <= self.tolerance


def require_finite_start(*numbers: Any) -> None:
    """Raise SolverError if a number is not finite."""
    if not all(np.isfinite(one).all() for one in numbers):
        raise SolverError(
            "Received a function that is not finite at the starting point; expected numbers. "
            "Look for missing or huge values in the data, or choose another starting point."
        )


def solve_positive_definite(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray | None:
    """Compute matrix^-1 vector; None if the symmetric matrix is not positive definite."""
    try:
        return linalg.cho_solve(linalg.cho_factor(matrix), vector)
    except linalg.LinAlgError:
        return None


def max_abs(gradient: np.ndarray) -> float:
    """Return the largest absolute component; infinity if one is not finite."""
    largest = float(np.abs(gradient).max(initial=0.0))
    return largest if math.isfinite(largest) else math.inf
