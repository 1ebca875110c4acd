"""Make probabilities of scores: the factors of logits with the least loss on held-out examples."""

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

MIN_PROBABILITY = 1e-30  # in logarithms
MAX_FACTOR = 100.0  # of logits, which are then as good as certain
MAX_TEMPERATURE = 20.0  # and 1/20 at least
PRIOR_DEVIATION = 0.25  # of the logarithm of the temperature, around 0


def best_factors(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the factors, [parts] from 0, with which the sum of logits has the least loss.

    The targets are smoothed, so that a few texts without a mistake do not ask for certainty.

    Args:
        logits: of each part, [texts, parts, classes].
        targets: class numbers, [texts]; or 1 or 0 for each class, [texts, classes].
        weights: of the texts; None if all count the same.

    References:
        Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2.

    """
    count, num_parts, num_classes = logits.shape
    wanted = _smoothed(targets, num_classes)
    weights = np.full(count, 1 / count) if weights is None else weights / count

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.einsum("npc,p->nc", logits, factors)
        losses, gradients = cross_entropies(total, wanted, several=targets.ndim > 1)
        return float(weights @ losses), np.einsum("npc,nc,n->p", logits, gradients, weights)

    bounds = [(0.0, MAX_FACTOR)] * num_parts
    return minimize(loss, np.ones(num_parts), jac=True, bounds=bounds, method="L-BFGS-B").x


def _smoothed(targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Return probabilities [texts, classes] of targets, as if there were a text more of each."""
    count = len(targets)
    if targets.ndim > 1:
        return (targets.astype("float64") * count + 1) / (count + 2)
    return (np.eye(num_classes)[targets] * count + 1) / (count + num_classes)


def cross_entropies(
    logits: np.ndarray, wanted: np.ndarray, *, several: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return cross-entropies [texts] of wanted probabilities, and their gradients by the logits.

    `several` tells whether a text may have several classes.
    """
    if several:
        losses = np.logaddexp(0, logits) - wanted * logits
        return losses.mean(1), (expit(logits) - wanted) / logits.shape[1]
    logs = log_softmax(logits, 1)
    return -(wanted * logs).sum(1), np.exp(logs) - wanted


def best_temperature(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the temperature that is most probable after held-out examples.

    Its logarithm has a normal prior around 0, so that a few examples change little.

    Args:
        logits: float64 [n, classes].
        targets: class numbers, [n]; or 1 or 0 for each class, [n, classes].
        weights: of the examples; None if all count the same.

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.

    """
    several = targets.ndim > 1
    wanted = targets if several else np.eye(logits.shape[1])[targets]
    weights = np.ones(len(targets)) if weights is None else weights / weights.mean()

    def loss(log_temperature: float) -> float:
        losses, _ = cross_entropies(logits / np.exp(log_temperature), wanted, several=several)
        # Of several classes the mean of losses is given, but each is an observation.
        num_observations = logits.shape[1] if several else 1
        prior = np.square(log_temperature / PRIOR_DEVIATION) / 2
        return float(num_observations * (weights @ losses) + prior)

    most = np.log(MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=(-most, most), method="bounded").x))


def logits_of(probabilities: np.ndarray, *, several: bool) -> np.ndarray:
    """Return logits whose softmax, or sigmoid for several classes, are probabilities."""
    logs = np.log(np.maximum(probabilities.astype("float64"), MIN_PROBABILITY))
    if not several:
        return logs
    return logs - np.log(np.maximum(1 - probabilities.astype("float64"), MIN_PROBABILITY))
