"""Levenberg-Marquardt: damped Gauss-Newton steps for least squares."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from optimizers.rule import require_in_range
from optimizers.solver import (
    Iterate,
    Solver,
    max_abs,
    require_finite_start,
    solve_positive_definite,
)

Residuals = tuple[float, np.ndarray, np.ndarray]
MIN_RELATIVE_DIAGONAL = 1e-12  # of D, relative to its largest entry
MAX_DAMPING = 1e16  # float64 cannot come closer to the minimum


class LevenbergMarquardt(Solver):
    """Least-squares solver with damped Gauss-Newton steps.

        f = |r|^2 / 2,   g = J^T r
        w <- w - (J^T J + lambda D)^-1 g      with D the diagonal of J^T J

    lambda falls if f decreases as linear residuals predict, and rises otherwise. Choose it to fit
    curves and small networks of up to some thousand weights with a squared error: it needs
    the fewest steps. Stores one n x n matrix, where `scipy.optimize.least_squares` stores the
    Jacobian of all examples.

    Args:
        damping: Initial lambda; 0.001 as in Marquardt's paper.
        tolerance: Stops if no component of the gradient is larger than this.

    Raises:
        ValueError: If a number is outside of its range.

    References:
        Levenberg, 1944; Marquardt, An Algorithm for Least-Squares Estimation of Nonlinear
        Parameters, 1963; for the update of lambda: Nielsen, Damping Parameter in
        Marquardt's Method, 1999.

    """

    needs: ClassVar[str] = "gauss_newton"

    def __init__(self, damping: float = 1e-3, tolerance: float = 1e-12) -> None:
        super().__init__(tolerance)
        require_in_range("damping", damping)
        self.damping = damping

    def minimize(
        self, function: Callable[[np.ndarray], Residuals], start: Any
    ) -> Iterator[Iterate]:
        """Minimize a function that returns |r|^2 / 2, J^T r [n] and J^T J [n, n].

        All three are sums over residuals, so J need not be in memory.
        """
        w = np.array(start, "float64")
        value, g, gauss_newton = function(w)
        require_finite_start(value, g, gauss_newton)
        damping, growth = self.damping, 2.0
        while not self.is_converged(max_abs(g)):
            diagonal = np.diag(gauss_newton)
            diagonal = np.maximum(diagonal, MIN_RELATIVE_DIAGONAL * diagonal.max())
            step = solve_positive_definite(gauss_newton + damping * np.diag(diagonal), g)
            result, gain_ratio = None, -1.0
            if step is not None:
                predicted = step @ (damping * diagonal * step + g) / 2
                result = function(w - step)
                gain_ratio = (value - result[0]) / predicted if predicted > 0 else -1.0
            if step is None or result is None or not gain_ratio > 0:
                damping, growth = damping * growth, 2 * growth
                if not damping < MAX_DAMPING:
                    return
                continue
            w, (value, g, gauss_newton) = w - step, result
            damping, growth = damping * max(1 / 3, 1 - (2 * gain_ratio - 1) ** 3), 2.0
            yield Iterate(w, value, max_abs(g))
