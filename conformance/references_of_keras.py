"""Reference implementations of Keras's optimizers in NumPy and float64, from the papers.

Default arguments are those of Keras. Each function takes arrays, a function that computes their
gradients, the number of steps and the learning rate, and returns the arrays after these steps.
It has the class's name in lower case.
"""

from collections.abc import Callable

import numpy as np

Arrays = list[np.ndarray]
Gradient = Callable[[Arrays], Arrays]


def sgd(weights: Arrays, gradient: Gradient, steps: int, rate: float) -> Arrays:
    """Gradient descent."""
    w = [np.array(array, "float64") for array in weights]
    for _ in range(steps):
        w = [array - rate * g for array, g in zip(w, gradient(w), strict=True)]
    return w


def adagrad(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    epsilon: float = 1e-7,
    initial_accumulator_value: float = 0.1,
) -> Arrays:
    """Duchi et al. 2011, figure 1, with squares that start at `initial_accumulator_value`."""
    w = [np.array(array, "float64") for array in weights]
    s = [np.full_like(array, initial_accumulator_value) for array in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            s[k] = s[k] + g**2
            w[k] = w[k] - rate * g / np.sqrt(s[k] + epsilon)
    return w


def rmsprop(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    rho: float = 0.9,
    epsilon: float = 1e-7,
) -> Arrays:
    """Hinton 2012, lecture 6e; epsilon inside the square root."""
    w = [np.array(array, "float64") for array in weights]
    s = [np.zeros_like(array) for array in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            s[k] = rho * s[k] + (1 - rho) * g**2
            w[k] = w[k] - rate * g / np.sqrt(s[k] + epsilon)
    return w


def adadelta(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    rho: float = 0.95,
    epsilon: float = 1e-7,
) -> Arrays:
    """Zeiler 2012, algorithm 1."""
    w = [np.array(array, "float64") for array in weights]
    s, u = ([np.zeros_like(array) for array in w] for _ in range(2))
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            s[k] = rho * s[k] + (1 - rho) * g**2
            step = -np.sqrt(u[k] + epsilon) / np.sqrt(s[k] + epsilon) * g
            u[k] = rho * u[k] + (1 - rho) * step**2
            w[k] = w[k] + rate * step
    return w


def adam(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> Arrays:
    """Kingma and Ba 2015, the form before section 2.1's end, with epsilon after the root."""
    w = [np.array(array, "float64") for array in weights]
    m, v = ([np.zeros_like(array) for array in w] for _ in range(2))
    for t in range(1, steps + 1):
        alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            step = alpha * m[k] / (np.sqrt(v[k]) + epsilon)
            w[k] = w[k] * (1 - rate * weight_decay) - step
    return w


def adamw(
    weights: Arrays, gradient: Gradient, steps: int, rate: float, weight_decay: float = 0.004
) -> Arrays:
    """Loshchilov and Hutter 2019, algorithm 2: Adam, with decay before the step."""
    return adam(weights, gradient, steps, rate, weight_decay=weight_decay)


def adamax(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Arrays:
    """Kingma and Ba 2015, algorithm 2."""
    w = [np.array(array, "float64") for array in weights]
    m, u = ([np.zeros_like(array) for array in w] for _ in range(2))
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            u[k] = np.maximum(beta_2 * u[k], np.abs(g))
            w[k] = w[k] - rate / (1 - beta_1**t) * m[k] / (u[k] + epsilon)
    return w


def nadam(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Arrays:
    """Dozat 2015, algorithm 2, with the momentum warmup of 0.96^(t / 250)."""
    w = [np.array(array, "float64") for array in weights]
    m, v = ([np.zeros_like(array) for array in w] for _ in range(2))
    product = 1.0
    for t in range(1, steps + 1):
        mu, next_mu = (beta_1 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in (t, t + 1))
        product *= mu
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            m_hat = next_mu * m[k] / (1 - product * next_mu) + (1 - mu) * g / (1 - product)
            w[k] = w[k] - rate * m_hat / (np.sqrt(v[k] / (1 - beta_2**t)) + epsilon)
    return w


def lion(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
) -> Arrays:
    """Chen et al. 2023, algorithm 2."""
    w = [np.array(array, "float64") for array in weights]
    m = [np.zeros_like(array) for array in w]
    for _ in range(steps):
        for k, g in enumerate(gradient(w)):
            w[k] = w[k] - rate * np.sign(beta_1 * m[k] + (1 - beta_1) * g)
            m[k] = beta_2 * m[k] + (1 - beta_2) * g
    return w


def lamb(
    weights: Arrays,
    gradient: Gradient,
    steps: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Arrays:
    """You et al. 2020, algorithm 2."""
    w = [np.array(array, "float64") for array in weights]
    m, v = ([np.zeros_like(array) for array in w] for _ in range(2))
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(w)):
            m[k] = beta_1 * m[k] + (1 - beta_1) * g
            v[k] = beta_2 * v[k] + (1 - beta_2) * g**2
            step = m[k] / (1 - beta_1**t) / (np.sqrt(v[k] / (1 - beta_2**t)) + epsilon)
            weight_norm, step_norm = np.linalg.norm(w[k]), np.linalg.norm(step)
            ratio = weight_norm / step_norm if weight_norm and step_norm else 1.0
            w[k] = w[k] - rate * ratio * step
    return w
