"""L-BFGS: Newton's method from the last few gradients alone."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.optimize import line_search

from optimizers.solver import Found, Solver, Value, at_start, steepest


class LBFGS(Solver):
    """Steps along -H g, where H is made of what the last steps told of the curvature.

        s = w - w_before,   y = g - g_before         of the last `memory` steps
        H = the inverse Hessian that these imply     (two loops over them)
        w <- w - alpha H g                           alpha by the strong Wolfe conditions

    Choose it for smooth models of up to some millions of weights on data that fit in memory:
    linear and logistic regression, small networks without dropout. It has no learning
    rate. Keeps 2 `memory` arrays of all weights.

    Args:
        memory: steps that are remembered, the paper's m; 10.
        tolerance: of the slope, below which the minimum is reached.

    Raises:
        ValueError: for numbers outside of their range.

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

    def minimise(self, function: Callable[[np.ndarray], Value], start: Any) -> Iterator[Found]:
        """From a function of the weights to its value and its gradient [n]."""
        asked = _Remembering(function)
        w = np.array(start, "float64")
        value, g = asked(w)
        at_start(value, g)
        pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self.memory)
        before = None
        while not self.done(steepest(g)):
            direction = -_times_inverse_hessian(g, pairs)
            share = _wolfe(asked, w, direction, g, value, before)
            if share is None and pairs:
                pairs.clear()  # what was remembered misleads: once more, downhill
                continue
            if share is None:
                return
            before, now = value, w + share * direction
            value, slope = asked(now)
            if (now - w) @ (slope - g) > 0:
                pairs.append((now - w, slope - g))
            w, g = now, slope
            yield Found(w, value, steepest(g))


def _wolfe(asked: Any, w: Any, direction: Any, g: Any, value: float, before: Any) -> float | None:
    """A share of the direction with the strong Wolfe conditions; None where none is found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that none is found, or infinities on the way
        return line_search(
            asked.value, asked.gradient, w, direction, g, value, before, c2=0.9, maxiter=20
        )[0]


def _times_inverse_hessian(g: np.ndarray, pairs: deque) -> np.ndarray:
    """Algorithm 7.4: the product of H and g, by two loops over what is remembered."""
    q, shares = g.copy(), []
    for s, y in reversed(pairs):
        # alpha_i = s_i q / (y_i s_i),   q <- q - alpha_i y_i
        shares.append(s @ q / (y @ s))
        q -= shares[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= s @ y / (y @ y)  # gamma, equation 7.20
    else:
        q /= max(1.0, np.linalg.norm(g))
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        # r <- r + s_i (alpha_i - y_i r / (y_i s_i))
        q += s * (share - y @ q / (y @ s))
    return q


class _Remembering:
    """A function that computes value and gradient together, asked for one at a time."""

    def __init__(self, function: Callable[[np.ndarray], Value]) -> None:
        self.function = function
        self.last: tuple[np.ndarray, Value] | None = None

    def __call__(self, w: np.ndarray) -> Value:
        if self.last is None or not np.array_equal(self.last[0], w):
            value, gradient = self.function(w)
            finite = np.isfinite(value) and np.isfinite(gradient).all()
            known = (float(value), np.asarray(gradient, "float64"))
            self.last = w.copy(), known if finite else (np.inf, np.zeros_like(w))
        return self.last[1]

    def value(self, w: np.ndarray) -> float:
        return self(w)[0]

    def gradient(self, w: np.ndarray) -> np.ndarray:
        return self(w)[1]
