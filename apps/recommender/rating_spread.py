"""The spread of ratings around their predictions, as dot products of rows of users and items.

    variance(u, i) = mean of 1 / (alpha t_u t_i) + variance of the prediction(u, i)

over the samples of the posterior of `bayesian_mf`. Each term is taken as a product of a number of
the user and one of the item. The second term is computed for all users with some items, the probes,
and for all items with some users.
"""

from collections.abc import Sequence

import numpy as np

from apps.recommender.factors import (
    DAMPING,
    UNKNOWN_SPREAD,
    Factors,
    Interactions,
    Spread,
    Tables,
    damped_means,
)

NUM_PROBES = 64  # users, and items, of training pairs: those with many pairs are likelier
NUM_SPREAD_COLUMNS = 4  # noise, prediction, unknown user, unknown item
MIN_VARIANCE = 1e-12  # of predictions, below which the variance counts as 0


class SpreadEstimate:
    """Sums of the noise, the predictions and their squares over the samples."""

    def __init__(self, interactions: Interactions) -> None:
        count = len(interactions.users)
        rows = np.linspace(0, count - 1, min(NUM_PROBES, count), dtype=int)
        self.users, self.items = interactions.users[rows], interactions.items[rows]
        self.sums: list[np.ndarray | float] = [0.0] * 6

    def update(self, samples: Sequence[Factors], weight: float) -> None:
        """Add samples, which together have this share of the new sums."""
        self.sums = [(1 - weight) * total for total in self.sums]
        share = np.float32(weight / len(samples))
        for sample in samples:
            new = self._values(sample)
            self.sums = [total + share * value for total, value in zip(self.sums, new, strict=True)]

    def _values(self, sample: Factors) -> list[np.ndarray]:
        users, items, user_biases, item_biases, noise = sample
        rows = users @ items[self.items].T + user_biases[:, None] + item_biases[self.items]
        columns = items @ users[self.users].T + item_biases[:, None] + user_biases[self.users]
        return [noise.users, noise.items, rows, np.square(rows), columns, np.square(columns)]

    def spread(self) -> Spread:
        """Return the variance of noise and of predictions, a column each."""
        noise_users, noise_items, *moments = self.sums
        rows, columns = (
            np.maximum(squares - np.square(means), 0).mean(1)
            for means, squares in (moments[:2], moments[2:])
        )
        overall = max(rows[self.users].mean(), MIN_VARIANCE)
        return Spread(
            np.column_stack([noise_users, rows]), np.column_stack([noise_items, columns / overall])
        )


def spread_tables(interactions: Interactions, factors: Factors) -> Tables:
    """Return the variances of the ratings of `rating_tables` as dot products.

    An unknown user has the variance of the item's ratings around their mean, and an unknown item
    that of the user's ratings; both are shrunk towards those of all.
    """
    num_users, num_items = interactions.num_users, interactions.num_items
    users = np.zeros((num_users + 1, NUM_SPREAD_COLUMNS), "float32")
    items = np.zeros((num_items + 1, NUM_SPREAD_COLUMNS), "float32")
    spread = factors.spread
    if spread is UNKNOWN_SPREAD:
        spread = _spread_of_biases(interactions, factors)
    users[1:, :2], items[1:, :2] = spread
    items[0, 2] = interactions.ratings.var(dtype="float64")
    items[1:, 2] = _variances(interactions, interactions.items, num_items)
    users[1:, 3] = _variances(interactions, interactions.users, num_users)
    users[0, 2] = items[0, 3] = 1
    return Tables(users, items)


def _variances(interactions: Interactions, rows: np.ndarray, count: int) -> np.ndarray:
    """Return the variance of each row's ratings around their damped mean, damped towards all."""
    residuals = interactions.ratings - interactions.ratings.mean()
    squares = np.square(residuals - damped_means(rows, residuals, count)[rows])
    mean = squares.mean()
    return mean + damped_means(rows, squares - mean, count)


def _spread_of_biases(interactions: Interactions, factors: Factors) -> Spread:
    """Return the variance of ratings around damped means of users and items."""
    residuals = interactions.ratings - interactions.ratings.mean()
    residuals = residuals - factors.item_biases[interactions.items]
    variance = np.square(residuals - factors.user_biases[interactions.users]).mean()
    user_counts = np.bincount(interactions.users, minlength=interactions.num_users)
    item_counts = np.bincount(interactions.items, minlength=interactions.num_items)
    of_users, of_items = (1 / (counts + DAMPING) for counts in (user_counts, item_counts))
    return Spread(
        variance * np.column_stack([1 + of_users, np.ones(len(of_users))]),
        np.column_stack([np.ones(len(of_items)), of_items]),
    )
