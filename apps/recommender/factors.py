"""Users and items as rows of factors, and tables that predict by dot products of their rows."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import extmath

if TYPE_CHECKING:
    from pipelines.examples import Examples

OVERSAMPLING, POWER_ITERATIONS = 10, 4  # of the randomised singular value decomposition
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

    @classmethod
    def of(cls, examples: "Examples", ids: Any) -> "Interactions":
        """Return the pairs of users and items that training has seen."""
        features, ratings = examples.numpy()
        numbers = ids(features)
        users, items = (numbers[name].numpy() - 1 for name in ("user", "item"))
        known = (users >= 0) & (items >= 0) & (users < ids.trained[0]) & (items < ids.trained[1])
        return cls(users[known], items[known], ratings[known], *ids.trained)

    def matrix(self, values: np.ndarray) -> sparse.csr_matrix:
        """Return a value for each pair as a sparse matrix [users, items]."""
        shape = (self.num_users, self.num_items)
        return sparse.csr_matrix((values, (self.users, self.items)), shape)


class Spread(NamedTuple):
    """Variances of ratings around their predictions, as products of rows of users and items.

    Attributes:
        users: [users, k]; of one sample of a posterior, [users].
        items: [items, k], likewise.

    """

    users: np.ndarray
    items: np.ndarray


UNKNOWN_SPREAD = Spread(np.empty(0), np.empty(0))


class Factors(NamedTuple):
    """Factors [users, k] and [items, k], biases [users] and [items]; the spread if it is known."""

    users: np.ndarray
    items: np.ndarray
    user_biases: np.ndarray
    item_biases: np.ndarray
    spread: Spread = UNKNOWN_SPREAD


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


def randomized_svd(
    matrix: sparse.csr_matrix | np.ndarray, rank: int
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
