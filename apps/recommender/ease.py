"""Scores of items as linear functions of the items that a user interacted with, in closed form.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", 2019: the matrix B [items, items]
with a diagonal of 0 that minimises |X - X B|^2 + l2 |B|^2.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from apps.recommender.factors import Tables, randomized_svd


class ItemMap(NamedTuple):
    """A matrix B [items, items] of low rank: weights of a user times B are scores of the items.

    Attributes:
        sources: [items, k].
        targets: [items, k]; B is sources targets'.

    """

    sources: np.ndarray
    targets: np.ndarray


def item_weights(gram: np.ndarray, l2: float) -> np.ndarray:
    """Return B of X'X = `gram` (Steck, 2019, equation 8)."""
    regularized = gram.astype("float64")
    regularized[np.diag_indices_from(regularized)] += l2
    inverse = linalg.inv(regularized, assume_a="pos", overwrite_a=True)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype("float32")


def low_rank(weights: np.ndarray, gram: np.ndarray, rank: int) -> ItemMap:
    """Return the map of this rank whose scores X B of the users are nearest to those of B.

    The directions are the leading eigenvectors of (X B)'(X B).
    """
    _, _, directions = randomized_svd(weights.T @ gram @ weights, rank)
    return ItemMap(weights @ directions.T, directions.T)


def fit_item_map(matrix: sparse.csr_matrix, l2: float, rank: int) -> ItemMap:
    """Return the map from users' interactions to scores.

    Columns of frequent items and rows of active users are scaled down first, as in EigenRec
    (Nikolakopoulos, Kalantzis, Gallopoulos and Garofalakis, 2019). Apply the map to rows that
    `scaled_rows` returns.
    """
    scaled, scale = _scaled(matrix)
    gram = (scaled.T @ scaled).toarray()
    weights = item_weights(gram, l2) * scale
    found = low_rank(weights, gram, rank)
    return ItemMap(found.sources / scale[:, None], found.targets)


def leading_vectors(matrix: sparse.csr_matrix, rank: int) -> Tables:
    """Return scores of users [users, k] and items [items, k], k <= `rank`, of EigenRec.

    They are the leading singular vectors of the scaled matrix; see `fit_item_map`.
    """
    scaled, scale = _scaled(matrix)
    users, values, items = randomized_svd(scaled, min(rank, *matrix.shape))
    return Tables(users * values, items.T * scale[:, None])


def _scaled(matrix: sparse.csr_matrix) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the matrix with scaled rows and columns, and the divisors of the columns."""
    rows = scaled_rows(matrix)
    scale = _root_root(rows.T.tocsr())
    return (rows @ sparse.diags(1 / scale)).tocsr(), scale


def scaled_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Divide the weights of each user by the fourth root of their sum."""
    return (sparse.diags(1 / _root_root(matrix)) @ matrix).tocsr()


def _root_root(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return the fourth root of the sum of each row, at least 1."""
    sums = matrix.sum(1).A1 if hasattr(matrix.sum(1), "A1") else np.asarray(matrix.sum(1)).ravel()
    return np.maximum(sums, 1.0).astype("float32") ** np.float32(0.25)
