"""Users and items as rows of factors: who met what, and tables that answer by dot products."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

TASTES = (24, 0, 2, 4, 8, 16, 32, 48)  # columns by which items may be ranked; 24 if none is better
TIE = 1e-4  # share of popularity in every score: it orders what a taste leaves open
SPARE, POWERS = 10, 4  # columns beside those asked for, and iterations, of a spectrum
MOST_HELD = 2000  # pairs by which the number is chosen
EXTRA = 3  # columns of biases beside those of the factors
DAMPING = 5.0  # ratings of the mean that a user's or an item's own ones are mixed with


class Pairs(NamedTuple):
    """Who met what: numbers from 0 and float32 ratings, all [n]; counts of users and items."""

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    num_users: int
    num_items: int

    def table(self, values: np.ndarray) -> sparse.csr_matrix:
        """A value a pair as a sparse matrix [users, items]."""
        shape = (self.num_users, self.num_items)
        return sparse.csr_matrix((values, (self.users, self.items)), shape)


class Factors(NamedTuple):
    """Factors [users, k] and [items, k], biases [users] and [items]."""

    users: np.ndarray
    items: np.ndarray
    user_biases: np.ndarray
    item_biases: np.ndarray


class Rows(NamedTuple):
    """Tables [users + 1, k] and [items + 1, k] whose rows' product answers; row 0 is unknown."""

    users: np.ndarray
    items: np.ndarray


def rating_rows(pairs: Pairs, factors: Factors, width: int) -> Rows:
    """Biases and all as products: factors, then user bias, item bias, and what is known at least.

    An unknown user gets the item's own bias, an unknown item the damped mean of
    the user's ratings.
    """
    mean = pairs.ratings.mean()
    users = np.zeros((pairs.num_users + 1, width + EXTRA), "float32")
    items = np.zeros((pairs.num_items + 1, width + EXTRA), "float32")
    rank = factors.users.shape[1]
    users[1:, :rank], items[1:, :rank] = factors.users, factors.items
    users[1:, width], items[1:, width + 1] = factors.user_biases, factors.item_biases
    users[:, width] += mean
    items[1:, width] = users[:, width + 1] = 1
    users[0, width + 2], items[0, width + 2] = mean, 1
    users[1:, width + 2] = mean + damped_means(pairs.users, pairs.ratings - mean, pairs.num_users)
    return Rows(users, items)


def usual(pairs: Pairs) -> tuple[Factors, float]:
    """Biases alone, by damped means of the items and then of the users; and their error."""
    left = pairs.ratings - pairs.ratings.mean()
    items = damped_means(pairs.items, left, pairs.num_items)
    left = left - items[pairs.items]
    users = damped_means(pairs.users, left, pairs.num_users)
    error = float(np.square(left - users[pairs.users]).mean())
    none = np.zeros((pairs.num_users, 0)), np.zeros((pairs.num_items, 0))
    return Factors(*none, users, items), error


def damped_means(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """The mean of each row's values, drawn towards 0 as by `DAMPING` more values."""
    return np.bincount(rows, values, count) / (np.bincount(rows, minlength=count) + DAMPING)


def ranking_rows(pairs: Pairs, held: Pairs) -> Rows:
    """Products by which items are ranked: what people of this taste meet and like.

    The leading singular vectors of the table of ratings, as shares of the best
    one, in which frequent users and items are scaled down (EigenRec: Nikolakopoulos,
    Kalantzis, Gallopoulos and Garofalakis, 2019). How many of them, or popularity
    instead, is chosen by the ranks of the held-out pairs. An unknown user gets
    popularity.
    """
    users = np.zeros((pairs.num_users + 1, TASTES[-1] + 1), "float32")
    items = np.zeros((pairs.num_items + 1, TASTES[-1] + 1), "float32")
    best = np.abs(pairs.ratings).max()
    # Ratings of zero alone tell who met what, as those of any other one value do.
    table = pairs.table(pairs.ratings / best if best else np.ones_like(pairs.ratings))
    people, things = (np.maximum(np.abs(table).sum(axis), 1.0).A1 ** 0.25 for axis in (1, 0))
    scaled = sparse.diags(1 / people) @ table @ sparse.diags(1 / things)
    left, values, right = spectrum(scaled.tocsr(), TASTES[-1])
    users[1:, : len(values)] = left * values
    items[1:, : len(values)] = right.T * things[:, None]
    items[1:, -1] = np.bincount(pairs.items, minlength=pairs.num_items) / pairs.num_users
    rank = max(TASTES, key=lambda rank: gain(_leading(users, rank), items, pairs, held))
    return Rows(_leading(users, rank), items)


def _leading(users: np.ndarray, rank: int) -> np.ndarray:
    """Rows that ask for `rank` columns, those of rank 0 and row 0 for popularity."""
    kept = np.zeros_like(users)
    kept[:, :rank] = users[:, :rank]
    kept[:, -1] = TIE if rank else 1
    kept[0, -1] = 1
    return kept


def gain(users: np.ndarray, items: np.ndarray, pairs: Pairs, held: Pairs) -> float:
    """The mean discounted gain, 1 / log2(1 + rank), of some held-out pairs among unmet items."""
    some = slice(0, MOST_HELD)
    scores = users[held.users[some] + 1] @ items[1:].T
    own = scores[np.arange(len(scores)), held.items[some]][:, None].copy()
    met = pairs.table(np.ones(len(pairs.users), "float32"))[held.users[some]].tocoo()
    scores[met.row, met.col] = -np.inf
    # Ties count half, so that a constant answer gains nothing by them.
    ranks = 1 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return float(np.mean(1 / np.log2(1 + ranks))) if len(ranks) else 0.0


def spectrum(table: sparse.csr_matrix, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leading singular vectors and values: [rows, k], [k], [k, columns], k <= `rank`.

    By a randomised range finder with power iterations (Halko, Martinsson and
    Tropp, 2011), always with the same random numbers.
    """
    size = min(rank + SPARE, *table.shape)
    guess = np.random.default_rng(0).standard_normal((table.shape[1], size))
    for _ in range(POWERS):
        guess = np.linalg.qr(table.T @ np.linalg.qr(table @ guess)[0])[0]
    basis = np.linalg.qr(table @ guess)[0]
    left, values, right = np.linalg.svd((table.T @ basis).T, full_matrices=False)
    return (basis @ left)[:, :rank], values[:rank], right[:rank]


def truncated(users: np.ndarray, items: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors of at most `rank` columns whose product is nearest to that of these."""
    (left, inner), (right, outer) = np.linalg.qr(users), np.linalg.qr(items)
    first, values, second = np.linalg.svd(inner @ outer.T, full_matrices=False)
    roots = np.sqrt(values[:rank])
    return left @ (first[:, :rank] * roots), right @ (second[:rank].T * roots)
