"""Newton's method, damped where the Hessian is not positive definite."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from optimizers.solver import (
    Iterate,
    Solver,
    max_abs,
    require_finite_start,
    solve_positive_definite,
)

ValueGradientHessian = tuple[float, np.ndarray, np.ndarray]
FIRST_RELATIVE_DAMPING = 1e-6  # lambda when it becomes positive, relative to the largest entry of H
MIN_DAMPING = 1e-12  # a smaller lambda becomes 0


class Newton(Solver):
    """Solver that steps to the minimum of the quadratic approximation of the function.

        w <- w - (H + lambda I)^-1 g

    lambda is 0 while H is positive definite and steps decrease the function. Otherwise it grows
    tenfold until both hold, and shrinks tenfold after each successful step. Choose it for convex
    models of up to some thousand weights, such as logistic regression: it needs about
    ten iterations. Stores one n x n matrix.

    Args:
        tolerance: Stops if no component of the gradient is larger than this.

    Raises:
        ValueError: If the tolerance is negative.

    References:
        Nocedal and Wright, Numerical Optimization, 2006, section 3.4, algorithm 3.3.

    """

    needs: ClassVar[str] = "hessian"

    def __init__(self, tolerance: float = 1e-9) -> None:
        super().__init__(tolerance)

    def minimize(
        self, function: Callable[[np.ndarray], ValueGradientHessian], start: Any
    ) -> Iterator[Iterate]:
        """Minimize a function that returns its value, gradient [n] and Hessian [n, n]."""
        w = np.array(start, "float64")
        value, g, hessian = function(w)
        require_finite_start(value, g, hessian)
        damping = 0.0
        while not self.is_converged(max_abs(g)):
            step = solve_positive_definite(hessian + damping * np.eye(len(g)), g)
            result = None if step is None else function(w - step)
            if step is None or result is None or not result[0] <= value:
                damping = max(10 * damping, FIRST_RELATIVE_DAMPING * float(np.abs(hessian).max()))
                if not np.isfinite(damping) or (step is not None and _vanishes(step, w)):
                    return
                continue
            stalled = result[0] == value and max_abs(result[1]) >= max_abs(g)
            w, (value, g, hessian) = w - step, result
            damping = damping / 10 if damping > MIN_DAMPING else 0.0
            yield Iterate(w, value, max_abs(g))
            if stalled:
                return  # float64 cannot come closer to the minimum


def _vanishes(step: np.ndarray, w: np.ndarray) -> bool:
    return bool((w - step == w).all())
