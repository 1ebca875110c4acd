"""Slow twins of the optimizers, in NumPy and float64, written from the papers.

Each takes a list of arrays and a function from these to their gradients, and gives
the arrays after so many steps.
"""

import numpy as np


def adabelief(weights, gradient, steps, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-16):
    """Zhuang et al. 2020, algorithm 2."""
    w = [np.array(one, "float64") for one in weights]
    m = [np.zeros_like(one) for one in w]
    s = [np.zeros_like(one) for one in w]
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            s[k] = beta_2 * s[k] + (1 - beta_2) * (g - m[k]) ** 2 + epsilon
            m_hat, s_hat = m[k] / (1 - beta_1**t), s[k] / (1 - beta_2**t)
            w[k] = w[k] - rate * m_hat / (np.sqrt(s_hat) + epsilon)
    return w


def radam(weights, gradient, steps, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, threshold=5):
    """Liu et al. 2020, algorithm 2."""
    w = [np.array(one, "float64") for one in weights]
    m = [np.zeros_like(one) for one in w]
    v = [np.zeros_like(one) for one in w]
    longest = 2 / (1 - beta_2) - 1
    for t in range(1, steps + 1):
        rho = longest - 2 * t * beta_2**t / (1 - beta_2**t)
        for k, g in enumerate(gradient(w)):
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            m_hat = m[k] / (1 - beta_1**t)
            if rho < threshold:
                w[k] = w[k] - rate * m_hat
                continue
            above, below = (rho - 4) * (rho - 2) * longest, (longest - 4) * (longest - 2) * rho
            adaptive = np.sqrt(v[k] / (1 - beta_2**t)) + epsilon
            w[k] = w[k] - rate * np.sqrt(above / below) * m_hat / adaptive
    return w


def yogi(weights, gradient, steps, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-3, initial=1e-6):
    """Zaheer et al. 2018, algorithm 2, with Adam's correction of the bias."""
    w = [np.array(one, "float64") for one in weights]
    m = [np.zeros_like(one) for one in w]
    v = [np.full_like(one, initial) for one in w]
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = v[k] - (1 - beta_2) * np.sign(v[k] - g**2) * g**2
            m_hat, v_hat = m[k] / (1 - beta_1**t), v[k] / (1 - beta_2**t)
            w[k] = w[k] - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return w


def adan(weights, gradient, steps, rate, betas=(0.98, 0.92, 0.99), epsilon=1e-8, weight_decay=0.0):
    """Xie et al. 2024, algorithm 1; their beta is 1 - beta here."""
    one_, two, three = (1 - beta for beta in betas)
    w = [np.array(one, "float64") for one in weights]
    m, d, n = ([np.zeros_like(one) for one in w] for _ in range(3))
    before = None
    for t in range(1, steps + 1):
        slopes = gradient(w)
        before = slopes if before is None else before
        for k, g in enumerate(slopes):
            change = g - before[k]
            m[k] = (1 - one_) * m[k] + one_ * g
            d[k] = (1 - two) * d[k] + two * change
            n[k] = (1 - three) * n[k] + three * (g + (1 - two) * change) ** 2
            m_hat, d_hat, n_hat = (
                part / (1 - beta**t) for part, beta in zip((m[k], d[k], n[k]), betas, strict=True)
            )
            eta = rate / (np.sqrt(n_hat) + epsilon)
            w[k] = (w[k] - eta * (m_hat + (1 - two) * d_hat)) / (1 + weight_decay * rate)
        before = slopes
    return w


def novograd(
    weights, gradient, steps, rate, beta_1=0.95, beta_2=0.98, epsilon=1e-8, weight_decay=0.0
):
    """Ginsburg et al. 2019, algorithm 1."""
    w = [np.array(one, "float64") for one in weights]
    m, v = [np.zeros_like(one) for one in w], [None] * len(w)
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            square = (g**2).sum()
            v[k] = square if v[k] is None else beta_2 * v[k] + (1 - beta_2) * square
            m[k] = beta_1 * m[k] + (g / (np.sqrt(v[k]) + epsilon) + weight_decay * w[k])
            w[k] = w[k] - rate * m[k]
    return w


def lars(weights, gradient, steps, rate, momentum=0.9, trust=0.001, weight_decay=0.0):
    """You et al. 2017, algorithm 1; vectors as in SGD."""
    w = [np.array(one, "float64") for one in weights]
    v = [np.zeros_like(one) for one in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            local = 1.0
            if w[k].ndim > 1:
                size, slope = np.linalg.norm(w[k]), np.linalg.norm(g)
                if size and slope:
                    local = trust * size / (slope + weight_decay * size)
                g = g + weight_decay * w[k]
            v[k] = momentum * v[k] + rate * local * g
            w[k] = w[k] - v[k]
    return w


def nesterov(weights, gradient, steps, rate, momentum=0.9):
    """Sutskever et al. 2013, equations 3 and 4, in the variables at the looked-ahead point."""
    w = [np.array(one, "float64") for one in weights]
    v = [np.zeros_like(one) for one in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            v[k] = momentum * v[k] - rate * g
            w[k] = w[k] + momentum * v[k] - rate * g
    return w


def prodigy(
    weights, gradient, steps, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, initial=1e-6,
    weight_decay=0.0,
):  # fmt: skip
    """Mishchenko and Defazio 2024, algorithm 4."""
    w = [np.array(one, "float64") for one in weights]
    start = [one.copy() for one in w]
    m, v, s = ([np.zeros_like(one) for one in w] for _ in range(3))
    r, d, beta = 0.0, initial, np.sqrt(beta_2)
    for _ in range(steps):
        slopes = gradient(w)
        along = sum((g * (a - b)).sum() for g, a, b in zip(slopes, start, w, strict=True))
        r = beta * r + (1 - beta) * rate * d**2 * along
        for k, g in enumerate(slopes):
            m[k] = beta_1 * m[k] + (1 - beta_1) * d * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * d**2 * g**2
            s[k] = beta * s[k] + (1 - beta) * rate * d**2 * g
            step = m[k] / (np.sqrt(v[k]) + d * epsilon) + weight_decay * w[k]
            w[k] = w[k] - rate * d * step
        d = max(d, r / sum(np.abs(one).sum() for one in s))
    return w


def soap(weights, gradient, steps, rate, beta_1=0.95, beta_2=0.95, epsilon=1e-8, frequency=10):
    """Vyas et al. 2025, algorithms 3 and 4; the first step finds the bases alone."""
    w = [np.array(one, "float64") for one in weights]
    m, v = ([np.zeros_like(one) for one in w] for _ in range(2))
    first = [_squares(g) for g in gradient(w)]
    factors = [[(1 - beta_2) * part for part in parts] for parts in first]
    bases = [[np.linalg.eigh(part)[1] for part in parts] for parts in factors]
    for t in range(1, steps):
        for k, g in enumerate(gradient(w)):
            left, right = bases[k] or (1, 1)
            turned = left.T @ g @ right if bases[k] else g
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * turned**2
            m_hat = (left.T @ m[k] @ right if bases[k] else m[k]) / (1 - beta_1**t)
            step = m_hat / (np.sqrt(v[k] / (1 - beta_2**t)) + epsilon)
            w[k] = w[k] - rate * (left @ step @ right.T if bases[k] else step)
            for side, square in enumerate(_squares(g)):
                factors[k][side] = beta_2 * factors[k][side] + (1 - beta_2) * square
                if t % frequency == 0:
                    bases[k][side] = np.linalg.qr(factors[k][side] @ bases[k][side])[0]
    return w


def _squares(g):
    return [g @ g.T, g.T @ g] if g.ndim > 1 else []
