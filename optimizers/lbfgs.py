"""L-BFGS: a quasi-Newton method that needs only gradients."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import line_search

from optimizers.solver import Iterate, Solver, ValueAndGradient, max_abs, require_finite_start

CURVATURE_CONSTANT = 0.9  # c_2 of the strong Wolfe conditions; the book's value for quasi-Newton
MAX_STEP_SIZES = 20  # tried by a line search


class LBFGS(Solver):
    """Limited-memory BFGS: steps along -H g, with H estimated from the last few steps.

        s = w - w_previous,   y = g - g_previous     of the last `memory` steps
        H = the inverse Hessian that they imply      (two-loop recursion)
        w <- w - alpha H g                           alpha from the strong Wolfe conditions

    Choose it for smooth models of up to some millions of weights on data that fit in memory:
    linear and logistic regression, small networks without dropout. It has no learning
    rate. Stores 2 `memory` arrays of all weights.

    Args:
        memory: Number of stored steps, the paper's m; 10.
        tolerance: Stops if no component of the gradient is larger than this.

    Raises:
        ValueError: If a number is outside of its range.

    References:
        Liu and Nocedal, On the Limited Memory BFGS Method for Large Scale Optimization,
        1989; Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 and 7.5, and
        for the line search (SciPy's) 3.5 and 3.6.

    """

    def __init__(self, memory: int = 10, tolerance: float = 1e-9) -> None:
        if not (isinstance(memory, int) and memory >= 1):
            raise ValueError(f"Received memory={memory!r}; expected a whole number from 1.")
        super().__init__(tolerance)
        self.memory = memory

    def minimize(
        self, function: Callable[[np.ndarray], ValueAndGradient], start: Any
    ) -> Iterator[Iterate]:
        """Minimize a function that returns its value and gradient [n]."""
        objective = _CachedObjective(function)
        w = np.array(start, "float64")
        value, g = objective(w)
        require_finite_start(value, g)
        pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self.memory)
        previous_value = None
        while not self.is_converged(max_abs(g)):
            direction = -_multiply_by_inverse_hessian(g, pairs)
            step_size = _wolfe_step_size(objective, w, direction, g, value, previous_value)
            if step_size is None and pairs:
                pairs.clear()  # The estimate of H is misleading: retry with steepest descent.
                continue
            if step_size is None:
                return
            previous_value, new_w = value, w + step_size * direction
            value, new_g = objective(new_w)
            if (new_w - w) @ (new_g - g) > 0:
                pairs.append((new_w - w, new_g - g))
            w, g = new_w, new_g
            yield Iterate(w, value, max_abs(g))


def _wolfe_step_size(
    objective: Any, w: Any, direction: Any, g: Any, value: float, previous_value: Any
) -> float | None:
    """Return a step size that satisfies the strong Wolfe conditions; None if there is none."""
    functions = objective.value, objective.gradient
    options = {"c2": CURVATURE_CONSTANT, "maxiter": MAX_STEP_SIZES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns if it finds none, and of infinities.
        result = line_search(*functions, w, direction, g, value, previous_value, **options)
    return result[0]


def _multiply_by_inverse_hessian(g: np.ndarray, pairs: deque) -> np.ndarray:
    """Compute H g by algorithm 7.4, two loops over the stored steps."""
    q, alphas = g.copy(), []
    for s, y in reversed(pairs):
        # alpha_i = s_i q / (y_i s_i),   q <- q - alpha_i y_i
        alphas.append(s @ q / (y @ s))
        q -= alphas[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= s @ y / (y @ y)  # gamma, equation 7.20
    else:
        q /= max(1.0, np.linalg.norm(g))
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        # r <- r + s_i (alpha_i - y_i r / (y_i s_i))
        q += s * (alpha - y @ q / (y @ s))
    return q


class _CachedObjective:
    """Function that keeps its last result: the line search calls value and gradient separately."""

    def __init__(self, function: Callable[[np.ndarray], ValueAndGradient]) -> None:
        self.function = function
        self.last: tuple[np.ndarray, ValueAndGradient] | None = None

    def __call__(self, w: np.ndarray) -> ValueAndGradient:
        if self.last is None or not np.array_equal(self.last[0], w):
            value, gradient = self.function(w)
            finite = np.isfinite(value) and np.isfinite(gradient).all()
            result = (float(value), np.asarray(gradient, "float64"))
            self.last = w.copy(), result if finite else (np.inf, np.zeros_like(w))
        return self.last[1]

    def value(self, w: np.ndarray) -> float:
        return self(w)[0]

    def gradient(self, w: np.ndarray) -> np.ndarray:
        return self(w)[1]
