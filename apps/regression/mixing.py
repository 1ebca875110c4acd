"""Predictions for held-out examples, and the weights of the parts of a blend from them."""

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


def out_of_fold(
    fold: np.ndarray, predict: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return predictions [n, outputs] for all rows, each by a model that has not seen its fold.

    Args:
        fold: number of the fold of each row, [n].
        predict: fits a model to the rows of its first argument, and returns its predictions for
            those of its second.

    """
    parts = [np.flatnonzero(fold == number) for number in np.unique(fold)]
    predictions = np.concatenate([predict(others_of(rows, len(fold)), rows) for rows in parts])
    return predictions[np.argsort(np.concatenate(parts))]


def others_of(rows: np.ndarray, count: int) -> np.ndarray:
    """Return all rows from 0 to `count` but these."""
    return np.setdiff1d(np.arange(count), rows, assume_unique=True)
