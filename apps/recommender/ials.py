"""Factors of interactions by alternating least squares.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", 2008, with the
weights of Rendle, Krichene, Zhang and Koren, "Revisiting the Performance of iALS", 2022. With
w the weight of an interaction and a0 that of every pair of a user and an item, minimise

    sum over interactions w (1 - p_u q_i)^2  +  a0 |P Q'|^2  +  sum_u l2_u |p_u|^2  +  likewise of i

where l2_u is l2 times the number of u's interactions plus a0 times the number of items.
"""

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

MAX_BATCH_NUMBERS = 2**22  # of the gathered factors of a batch, about 16 MB
INITIAL_DEVIATION = 0.1


def alternating_least_squares(
    weights: sparse.csr_matrix,
    *,
    num_factors: int,
    unobserved_weight: float,
    l2: float,
    iterations: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return factors of the rows and the columns of a matrix of weights of interactions.

    The start is always the same; the rows come last, so that they are optimal for the columns.
    """
    random = np.random.default_rng(0)
    shape = (weights.shape[1], num_factors)
    items = INITIAL_DEVIATION * random.standard_normal(shape, "float32")
    transposed = weights.T.tocsr()
    # The matrices are small: with several threads most of the time is waiting.
    with threadpool_limits(1):
        for _ in range(iterations):
            users = best_factors(weights, items, unobserved_weight, l2)
            items = best_factors(transposed, users, unobserved_weight, l2)
        return best_factors(weights, items, unobserved_weight, l2), items


def best_factors(
    weights: sparse.csr_matrix, others: np.ndarray, unobserved_weight: float, l2: float
) -> np.ndarray:
    """Return the factors of each row that are best for the factors of the columns; 0 if empty."""
    num_factors = others.shape[1]
    counts = np.diff(weights.indptr)
    found = np.zeros((weights.shape[0], num_factors), "float32")
    identity = np.eye(num_factors, dtype="float32")
    shared = np.float32(unobserved_weight) * (others.T @ others)
    penalties = (l2 * (counts + unobserved_weight * len(others))).astype("float32")
    for rows in _batches(counts, num_factors):
        positions = np.arange(counts[rows[-1]])
        inside = positions < counts[rows, None]
        cells = np.where(inside, weights.indptr[rows, None] + positions, 0)
        gathered = others[weights.indices[cells]]
        weighted = gathered * np.where(inside, weights.data[cells], 0).astype("float32")[:, :, None]
        normal = shared + penalties[rows, None, None] * identity
        normal += weighted.transpose(0, 2, 1) @ gathered
        found[rows] = np.linalg.solve(normal, weighted.sum(1)[:, :, None])[:, :, 0]
    return found


def _batches(counts: np.ndarray, num_factors: int) -> list[np.ndarray]:
    """Group the rows that are not empty by similar counts; the last row has most."""
    counts = counts.astype("int64")  # the products below exceed int32
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    batches, start = [], 0
    while start < len(order):
        size = len(order) - start
        while size > 1 and size * counts[order[start + size - 1]] * num_factors > MAX_BATCH_NUMBERS:
            size = (size + 1) // 2
        batches.append(order[start : start + size])
        start += size
    return batches
