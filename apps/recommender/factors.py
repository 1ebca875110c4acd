"""Users and items as rows of factors, and tables that predict by dot products of their rows."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import extmath

# Numbers of singular vectors by which items may be ranked; the first wins ties. 0 is popularity.
RANKS = (24, 0, 2, 4, 8, 16, 32, 48)
MAX_RANK = RANKS[-1]
POPULARITY_WEIGHT = 1e-4  # of popularity in every score, to break ties
OVERSAMPLING, POWER_ITERATIONS = 10, 4  # of the randomised singular value decomposition
MAX_VALIDATION_PAIRS = 2000  # by which the rank is chosen
NUM_BIAS_COLUMNS = 3  # in addition to the columns of the factors
DAMPING = 5.0  # ratings equal to the overall mean that are added to those of a user or an item


class Interactions(NamedTuple):
    """Pairs of a user and an item, with ratings.

    Attributes:
        users: numbers from 0, [n].
        items: numbers from 0, [n].
        ratings: float32 [n].
        num_users: of the whole training set.
        num_items: likewise.

    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    num_users: int
    num_items: int

    def matrix(self, values: np.ndarray) -> sparse.csr_matrix:
        """Return a value for each pair as a sparse matrix [users, items]."""
        shape = (self.num_users, self.num_items)
        return sparse.csr_matrix((values, (self.users, self.items)), shape)


class Factors(NamedTuple):
    """Factors [users, k] and [items, k], biases [users] and [items]."""

    users: np.ndarray
    items: np.ndarray
    user_biases: np.ndarray
    item_biases: np.ndarray


class Tables(NamedTuple):
    """Tables [users + 1, k] and [items + 1, k]: the dot product of two rows is a prediction.

    Row 0 is for unknown users or items.
    """

    users: np.ndarray
    items: np.ndarray


def rating_tables(interactions: Interactions, factors: Factors, width: int) -> Tables:
    """Return ratings as dot products: columns of factors, user and item bias, and the fallback.

    An unknown user gets the item's bias, an unknown item the damped mean of the user's ratings.
    """
    mean, num_users = interactions.ratings.mean(), interactions.num_users
    users = np.zeros((num_users + 1, width + NUM_BIAS_COLUMNS), "float32")
    items = np.zeros((interactions.num_items + 1, width + NUM_BIAS_COLUMNS), "float32")
    rank = factors.users.shape[1]
    users[1:, :rank], items[1:, :rank] = factors.users, factors.items
    users[1:, width], items[1:, width + 1] = factors.user_biases, factors.item_biases
    users[:, width] += mean
    items[1:, width] = users[:, width + 1] = 1
    users[0, width + 2], items[0, width + 2] = mean, 1
    user_means = damped_means(interactions.users, interactions.ratings - mean, num_users)
    users[1:, width + 2] = mean + user_means
    return Tables(users, items)


def bias_baseline(interactions: Interactions) -> tuple[Factors, float]:
    """Return biases without factors, by damped means of items and then users; and their error."""
    residuals = interactions.ratings - interactions.ratings.mean()
    items = damped_means(interactions.items, residuals, interactions.num_items)
    residuals = residuals - items[interactions.items]
    users = damped_means(interactions.users, residuals, interactions.num_users)
    error = float(np.square(residuals - users[interactions.users]).mean())
    no_factors = np.zeros((interactions.num_users, 0)), np.zeros((interactions.num_items, 0))
    return Factors(*no_factors, users, items), error


def damped_means(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of each row's values, shrunk towards 0 as by `DAMPING` more values of 0."""
    return np.bincount(rows, values, count) / (np.bincount(rows, minlength=count) + DAMPING)


def ranking_tables(interactions: Interactions, validation: Interactions) -> Tables:
    """Return scores by which items are ranked, as dot products.

    They use leading singular vectors of the rating matrix, whose rows and columns of frequent
    users and items are scaled down (EigenRec: Nikolakopoulos, Kalantzis, Gallopoulos and
    Garofalakis, 2019). Validation pairs choose how many, or popularity instead. An unknown user
    gets popularity.
    """
    users = np.zeros((interactions.num_users + 1, MAX_RANK + 1), "float32")
    items = np.zeros((interactions.num_items + 1, MAX_RANK + 1), "float32")
    largest = np.abs(interactions.ratings).max()
    # If all ratings are 0 only the pairs themselves count, as with any other single value.
    values = interactions.ratings / largest if largest else np.ones_like(interactions.ratings)
    matrix = interactions.matrix(values)
    user_scale, item_scale = (
        np.maximum(np.abs(matrix).sum(axis), 1.0).A1 ** 0.25 for axis in (1, 0)
    )
    scaled = sparse.diags(1 / user_scale) @ matrix @ sparse.diags(1 / item_scale)
    left, singular_values, right = randomized_svd(scaled.tocsr(), MAX_RANK)
    users[1:, : len(singular_values)] = left * singular_values
    items[1:, : len(singular_values)] = right.T * item_scale[:, None]
    counts = np.bincount(interactions.items, minlength=interactions.num_items)
    items[1:, -1] = counts / interactions.num_users

    def quality(rank: int) -> float:
        return mean_ndcg(_with_rank(users, rank), items, interactions, validation)

    return Tables(_with_rank(users, max(RANKS, key=quality)), items)


def _with_rank(users: np.ndarray, rank: int) -> np.ndarray:
    """User rows that use `rank` singular vectors; for rank 0 and row 0 popularity alone."""
    selected = np.zeros_like(users)
    selected[:, :rank] = users[:, :rank]
    selected[:, -1] = POPULARITY_WEIGHT if rank else 1
    selected[0, -1] = 1
    return selected


def mean_ndcg(
    users: np.ndarray, items: np.ndarray, interactions: Interactions, validation: Interactions
) -> float:
    """Return the mean of 1 / log2(1 + rank) of validation pairs among the user's unseen items."""
    sample = slice(0, MAX_VALIDATION_PAIRS)
    sampled_users = validation.users[sample]
    scores = users[sampled_users + 1] @ items[1:].T
    true = scores[np.arange(len(scores)), validation.items[sample]][:, None].copy()
    pairs = interactions.matrix(np.ones(len(interactions.users), "float32"))
    interacted = pairs[sampled_users].tocoo()
    scores[interacted.row, interacted.col] = -np.inf
    # Ties count half, so that constant scores have no advantage.
    ranks = 1 + (scores > true).sum(1) + ((scores == true).sum(1) - 1) / 2
    return float(np.mean(1 / np.log2(1 + ranks))) if len(ranks) else 0.0


def randomized_svd(
    matrix: sparse.csr_matrix, rank: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return leading singular vectors and values: [rows, k], [k], [k, columns], k <= `rank`.

    Uses a randomised range finder with power iterations (Halko, Martinsson and Tropp, 2011),
    always with the same random numbers.
    """
    return extmath.randomized_svd(
        matrix,
        rank,
        n_oversamples=OVERSAMPLING,
        n_iter=POWER_ITERATIONS,
        power_iteration_normalizer="QR",
        random_state=0,
    )


def reduce_rank(users: np.ndarray, items: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return factors of at most `rank` columns whose product is nearest to the given product."""
    (left, inner), (right, outer) = np.linalg.qr(users), np.linalg.qr(items)
    first, values, second = np.linalg.svd(inner @ outer.T, full_matrices=False)
    roots = np.sqrt(values[:rank])
    return left @ (first[:, :rank] * roots), right @ (second[:rank].T * roots)
