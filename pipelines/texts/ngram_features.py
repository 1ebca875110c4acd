"""Features of linear models: how much each n-gram counts."""

import itertools
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize

MAX_NGRAMS, MAX_WEIGHTS = 1_000_000, 8_000_000  # of a linear model


def max_ngrams(num_classes: int) -> int:
    """Return the maximum number of n-grams of a linear model: fewer for many classes."""
    return min(MAX_NGRAMS, MAX_WEIGHTS // max(1, num_classes if num_classes > 2 else 1))


def log_count_ratios(present: Any, positive: np.ndarray) -> np.ndarray:
    """Return for each n-gram the size of the logarithm of its ratio in two classes, [n-grams].

    References:
        Wang and Manning, Baselines and Bigrams, ACL 2012, section 2.1; alpha is 1. The sign does
        not matter to a linear model.

    """
    shares = []
    for side in (positive, ~positive):
        counts = 1.0 + np.asarray(present[side].sum(0)).ravel()
        shares.append(counts / counts.sum())
    return np.abs(np.log(shares[0] / shares[1])).astype("float32")


def inverse_document_frequencies(present: Any) -> np.ndarray:
    """Return 1 + ln((1 + texts) / (1 + texts with the n-gram)), [n-grams]."""
    counts = np.asarray(present.sum(0)).ravel()
    return (1 + np.log((1 + present.shape[0]) / (1 + counts))).astype("float32")


def scaled(present: Any, importance: np.ndarray, kinds: list[int]) -> Any:
    """Multiply n-grams by their importance; the part of each kind then has length 1."""
    ends = np.cumsum([0, *kinds])
    features = present.multiply(importance).tocsr()
    parts = [normalize(features[:, a:b]) for a, b in itertools.pairwise(ends) if b > a]
    return sparse.hstack(parts, format="csr")
