"""Weights of the parts of a blend, from their predictions for held-out examples."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp


def mix(predictions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average [n, parts, outputs] as the layer `Blend` does; of logits, log-probabilities."""
    if predictions.shape[-1] == 1:
        return np.einsum("npo,p->no", predictions, weights)
    weighted = np.log(np.maximum(weights, 1e-300))[:, None]
    return logsumexp(log_softmax(predictions, -1) + weighted, axis=1)


def best_weights(predictions: np.ndarray, loss_of: Callable[[np.ndarray], float]) -> np.ndarray:
    """Return the weights, at least 0 and of sum 1, with the least loss of the mixture.

    References:
        Breiman, Stacked Regressions, Machine Learning 1996, for the constraints.

    """
    count = predictions.shape[1]
    found = minimize(
        lambda weights: loss_of(mix(predictions, weights)),
        np.full(count, 1 / count),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
    )
    weights = np.clip(found.x, 0, 1)
    return weights / weights.sum()
