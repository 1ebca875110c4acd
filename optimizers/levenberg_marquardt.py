"""Levenberg-Marquardt: least squares between Gauss-Newton and gradient descent."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from optimizers.rule import require
from optimizers.solver import Found, Solver, at_start, solved, steepest

Residuals = tuple[float, np.ndarray, np.ndarray]


class LevenbergMarquardt(Solver):
    """Solves a least-squares problem as if its residuals were linear, in steps it can trust.

        f = |r|^2 / 2,   g = J^T r
        w <- w - (J^T J + lambda D)^-1 g      with D the diagonal of J^T J

    lambda falls where f fell as the linear residuals foretold, and rises where it did
    not. Choose it to fit curves and small networks with a squared error, of up to some
    thousand weights: it needs the fewest steps. Keeps one n x n matrix.

    Args:
        damping: lambda at first; 0.001, Marquardt's.
        tolerance: of the slope, below which the minimum is reached.

    Raises:
        ValueError: for numbers outside of their range.

    References:
        Levenberg, 1944; Marquardt, An Algorithm for Least-Squares Estimation of Nonlinear
        Parameters, 1963; the change of lambda: Nielsen, Damping Parameter in
        Marquardt's Method, 1999.

    """

    needs: ClassVar[str] = "squares"

    def __init__(self, damping: float = 1e-3, tolerance: float = 1e-12) -> None:
        super().__init__(tolerance)
        require("damping", damping)
        self.damping = damping

    def minimise(self, function: Callable[[np.ndarray], Residuals], start: Any) -> Iterator[Found]:
        """From a function of the weights to |r|^2 / 2, J^T r [n] and J^T J [n, n].

        Sums over residuals, so that nobody has to hold J.
        """
        w = np.array(start, "float64")
        value, g, squares = function(w)
        at_start(value, g, squares)
        damping, growth = self.damping, 2.0
        while not self.done(steepest(g)):
            diagonal = np.maximum(np.diag(squares), 1e-12 * np.diag(squares).max())
            step = solved(squares + damping * np.diag(diagonal), g)
            found, gain = None, -1.0
            if step is not None:
                foretold = step @ (damping * diagonal * step + g) / 2
                found = function(w - step)
                gain = (value - found[0]) / foretold if foretold > 0 else -1.0
            if step is None or found is None or not gain > 0:
                damping, growth = damping * growth, 2 * growth
                if not damping < 1e16:
                    return  # as near as float64 comes
                continue
            w, (value, g, squares) = w - step, found
            damping, growth = damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
            yield Found(w, value, steepest(g))
