"""Make probabilities of scores: the factors of logits with the least loss on held-out examples."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

MAX_FACTOR = 100.0  # of logits, which are then as good as certain


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
