"""Newton's method, damped where the function is no bowl."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from optimizers.solver import Found, Solver, at_start, solved, steepest

Curved = tuple[float, np.ndarray, np.ndarray]


class Newton(Solver):
    """Jumps to the minimum of the parabola that touches the function.

        w <- w - (H + lambda I)^-1 g

    lambda is 0 as long as H is positive definite and the step leads down; else it grows tenfold
    until both hold, and shrinks by as much after each good step. Choose it for convex
    models of up to some thousand weights, such as logistic regression: it needs some
    ten iterations. Keeps one n x n matrix.

    Args:
        tolerance: of the slope, below which the minimum is reached.

    Raises:
        ValueError: for a tolerance below 0.

    References:
        Nocedal and Wright, Numerical Optimization, 2006, section 3.4, algorithm 3.3.

    """

    needs: ClassVar[str] = "hessian"

    def __init__(self, tolerance: float = 1e-9) -> None:
        super().__init__(tolerance)

    def minimise(self, function: Callable[[np.ndarray], Curved], start: Any) -> Iterator[Found]:
        """From a function of the weights to its value, gradient [n] and Hessian [n, n]."""
        w = np.array(start, "float64")
        value, g, hessian = function(w)
        at_start(value, g, hessian)
        damping = 0.0
        while not self.done(steepest(g)):
            step = solved(hessian + damping * np.eye(len(g)), g)
            found = None if step is None else function(w - step)
            if step is None or found is None or not found[0] <= value:
                damping = max(10 * damping, 1e-6 * float(np.abs(hessian).max()))
                if not np.isfinite(damping) or (step is not None and _vanishes(step, w)):
                    return
                continue
            still = found[0] == value and steepest(found[1]) >= steepest(g)
            w, (value, g, hessian) = w - step, found
            damping = damping / 10 if damping > 1e-12 else 0.0
            yield Found(w, value, steepest(g))
            if still:
                return  # as near as float64 comes


def _vanishes(step: np.ndarray, w: np.ndarray) -> bool:
    return bool((w - step == w).all())
