"""Reference implementations of our optimizers in NumPy and float64, written from the papers.

Each function takes arrays, a function that computes their gradients, the number of steps and
the learning rate, and returns the arrays after these steps. It has the class's name in lower case.
"""

from collections.abc import Callable

import numpy as np

from conformance.references_of_keras import sgd

Arrays = list[np.ndarray]
Gradient = Callable[[Arrays], Arrays]


def adabelief(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-16,
) -> Arrays:
    """Zhuang et al. 2020, algorithm 2."""
    w = [np.array(array, "float64") for array in weights]
    m = [np.zeros_like(array) for array in w]
    s = [np.zeros_like(array) for array in w]
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            s[k] = beta_2 * s[k] + (1 - beta_2) * (g - m[k]) ** 2 + epsilon
            m_hat, s_hat = m[k] / (1 - beta_1**t), s[k] / (1 - beta_2**t)
            w[k] = w[k] - rate * m_hat / (np.sqrt(s_hat) + epsilon)
    return w


def radam(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    threshold: int = 5,
) -> Arrays:
    """Liu et al. 2020, algorithm 2."""
    w = [np.array(array, "float64") for array in weights]
    m = [np.zeros_like(array) for array in w]
    v = [np.zeros_like(array) for array in w]
    rho_inf = 2 / (1 - beta_2) - 1
    for t in range(1, steps + 1):
        rho = rho_inf - 2 * t * beta_2**t / (1 - beta_2**t)
        for k, g in enumerate(gradient(w)):
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            m_hat = m[k] / (1 - beta_1**t)
            if rho < threshold:
                w[k] = w[k] - rate * m_hat
                continue
            above, below = (rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho
            adaptive = np.sqrt(v[k] / (1 - beta_2**t)) + epsilon
            w[k] = w[k] - rate * np.sqrt(above / below) * m_hat / adaptive
    return w


def yogi(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-3,
    initial: float = 1e-6,
) -> Arrays:
    """Zaheer et al. 2018, algorithm 2, with Adam's correction of the bias."""
    w = [np.array(array, "float64") for array in weights]
    m = [np.zeros_like(array) for array in w]
    v = [np.full_like(array, initial) for array in w]
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = v[k] - (1 - beta_2) * np.sign(v[k] - g**2) * g**2
            m_hat, v_hat = m[k] / (1 - beta_1**t), v[k] / (1 - beta_2**t)
            w[k] = w[k] - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return w


def adan(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    betas: tuple[float, ...] = (0.98, 0.92, 0.99),
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Arrays:
    """Xie et al. 2024, algorithm 1; the paper's betas are 1 - `betas`."""
    beta_1, beta_2, beta_3 = (1 - beta for beta in betas)  # the paper's
    w = [np.array(array, "float64") for array in weights]
    m, d, n = ([np.zeros_like(array) for array in w] for _ in range(3))
    previous: Arrays = []
    for t in range(1, steps + 1):
        gradients_at = gradient(w)
        previous = previous or gradients_at
        for k, g in enumerate(gradients_at):
            change = g - previous[k]
            m[k] = (1 - beta_1) * m[k] + beta_1 * g
            d[k] = (1 - beta_2) * d[k] + beta_2 * change
            n[k] = (1 - beta_3) * n[k] + beta_3 * (g + (1 - beta_2) * change) ** 2
            m_hat, d_hat, n_hat = (
                part / (1 - beta**t) for part, beta in zip((m[k], d[k], n[k]), betas, strict=True)
            )
            eta = rate / (np.sqrt(n_hat) + epsilon)
            w[k] = (w[k] - eta * (m_hat + (1 - beta_2) * d_hat)) / (1 + weight_decay * rate)
        previous = gradients_at
    return w


def novograd(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.95,
    beta_2: float = 0.98,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Arrays:
    """Ginsburg et al. 2019, algorithm 1."""
    w = [np.array(array, "float64") for array in weights]
    m, v = [np.zeros_like(array) for array in w], [0.0] * len(w)
    for t in range(steps):
        for k, g in enumerate(gradient(w)):
            square = (g**2).sum()
            v[k] = beta_2 * v[k] + (1 - beta_2) * square if t else square
            m[k] = beta_1 * m[k] + (g / (np.sqrt(v[k]) + epsilon) + weight_decay * w[k])
            w[k] = w[k] - rate * m[k]
    return w


def lars(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    momentum: float = 0.9,
    trust: float = 0.001,
    weight_decay: float = 0.0,
) -> Arrays:
    """You et al. 2017, algorithm 1; SGD with momentum for vectors."""
    w = [np.array(array, "float64") for array in weights]
    v = [np.zeros_like(array) for array in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            ratio = 1.0
            if w[k].ndim > 1:
                weight_norm, norm = np.linalg.norm(w[k]), np.linalg.norm(g)
                if weight_norm and norm:
                    ratio = float(trust * weight_norm / (norm + weight_decay * weight_norm))
                g = g + weight_decay * w[k]
            v[k] = momentum * v[k] + rate * ratio * g
            w[k] = w[k] - v[k]
    return w


def nesterov(
    weights: Arrays, gradient: Gradient, steps: int, rate: float, momentum: float = 0.9
) -> Arrays:
    """Sutskever et al. 2013, equations 3 and 4, for the variables at the look-ahead point."""
    w = [np.array(array, "float64") for array in weights]
    v = [np.zeros_like(array) for array in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            v[k] = momentum * v[k] - rate * g
            w[k] = w[k] + momentum * v[k] - rate * g
    return w


def prodigy(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    initial: float = 1e-6,
    weight_decay: float = 0.0,
) -> Arrays:
    """Mishchenko and Defazio 2024, algorithm 4."""
    w = [np.array(array, "float64") for array in weights]
    start = [array.copy() for array in w]
    m, v, s = ([np.zeros_like(array) for array in w] for _ in range(3))
    r, d, beta = 0.0, initial, np.sqrt(beta_2)
    for _ in range(steps):
        gradients_at = gradient(w)
        pairs = zip(gradients_at, start, w, strict=True)
        inner_product = sum((g * (w_0 - w_t)).sum() for g, w_0, w_t in pairs)
        r = beta * r + (1 - beta) * rate * d**2 * inner_product
        for k, g in enumerate(gradients_at):
            m[k] = beta_1 * m[k] + (1 - beta_1) * d * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * d**2 * g**2
            s[k] = beta * s[k] + (1 - beta) * rate * d**2 * g
            step = m[k] / (np.sqrt(v[k]) + d * epsilon) + weight_decay * w[k]
            w[k] = w[k] - rate * d * step
        d = max(d, r / sum(np.abs(array).sum() for array in s))
    return w


def soap(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.95,
    beta_2: float = 0.95,
    epsilon: float = 1e-8,
    frequency: int = 10,
) -> Arrays:
    """Vyas et al. 2025, algorithms 3 and 4; the first step only computes the bases."""
    w = [np.array(array, "float64") for array in weights]
    m, v = ([np.zeros_like(array) for array in w] for _ in range(2))
    first = [_outer_products(g) for g in gradient(w)]
    factors = [[(1 - beta_2) * part for part in parts] for parts in first]
    bases = [[np.linalg.eigh(part)[1][:, ::-1] for part in parts] for parts in factors]
    for t in range(1, steps):
        for k, g in enumerate(gradient(w)):
            left, right = bases[k] or (np.eye(1), np.eye(1))
            rotated = left.T @ g @ right if bases[k] else g
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * rotated**2
            m_hat = (left.T @ m[k] @ right if bases[k] else m[k]) / (1 - beta_1**t)
            step = m_hat / (np.sqrt(v[k] / (1 - beta_2**t)) + epsilon)
            w[k] = w[k] - rate * (left @ step @ right.T if bases[k] else step)
            for side, square in enumerate(_outer_products(g)):
                factors[k][side] = beta_2 * factors[k][side] + (1 - beta_2) * square
                if t % frequency == 0:
                    bases[k][side] = np.linalg.qr(factors[k][side] @ bases[k][side])[0]
    return w


def _outer_products(g: np.ndarray) -> Arrays:
    return [g @ g.T, g.T @ g] if g.ndim > 1 else []


def lookahead(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    sync_period: int = 5,
    slow_step_size: float = 0.5,
) -> Arrays:
    """Zhang et al. 2019, algorithm 1, with gradient descent as inner optimizer."""
    w = [np.array(array, "float64") for array in weights]
    slow = [array.copy() for array in w]
    for t in range(1, steps + 1):
        w = [array - rate * g for array, g in zip(w, gradient(w), strict=True)]
        if t % sync_period == 0:
            slow = [a + slow_step_size * (b - a) for a, b in zip(slow, w, strict=True)]
            w = slow
    return w


def centralizedgradient(weights: Arrays, gradient: Gradient, steps: int, rate: float) -> Arrays:
    """Yong et al. 2020, equation 1, before gradient descent."""

    def centred(w: Arrays) -> Arrays:
        return [g - g.mean(0) if g.ndim > 1 else g for g in gradient(w)]

    return sgd(weights, centred, steps, rate)


def schedulefree(
    weights: Arrays, gradient: Gradient, steps: int, rate: float, momentum: float = 0.9
) -> Arrays:
    """Defazio et al. 2024, equations 1 to 3, of gradient descent; returns y."""
    x = [np.array(array, "float64") for array in weights]
    z, y = ([array.copy() for array in x] for _ in range(2))
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(y)):
            z[k] = z[k] - rate * g
            x[k] = (1 - 1 / t) * x[k] + z[k] / t
            y[k] = (1 - momentum) * z[k] + momentum * x[k]
    return y
