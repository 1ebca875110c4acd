"""Bayesian matrix factorisation: factors are drawn from their posterior, not fitted.

Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix Factorization using Markov Chain
Monte Carlo", 2008, with two extensions. What somebody met, whatever the rating, tells of
his taste: the prior mean of his factors is a linear map of the leading singular vectors of
the table of who met what (the map as in Simm et al., "Macau", 2015; the idea as in SVD++),
and likewise for items. And each user and item has a noise of its own (Lakshminarayanan,
Bouchard and Archambeau, 2011).

    rating(u, i) = mean + p_u q_i + b_u + c_i + noise / sqrt(alpha t_u t_i)
    (p_u, b_u)  ~ Normal(centre + link' z_u, Lambda^-1)     and (q_i, c_i) likewise
    Lambda ~ Wishart,  link ~ Normal(0, (strength Lambda)^-1),  t ~ Gamma(TRUST, TRUST)
"""

import itertools
from collections.abc import Iterator

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from apps.recommender.factors import Factors, Pairs, spectrum, truncated

FEATURES = 64  # singular vectors of who met what
SWEEPS = 10  # an epoch
AVERAGE = 1.0  # how fast early draws are forgotten
TRUST = 3.0  # prior ratings, so to say, behind the noise of one user or item
CENTRE = 2.0  # prior rows behind their centre
USUAL = 16.0  # deviations from a 16th to 16 suit the priors, such as those of 1 to 5 stars


def posterior_means(
    pairs: Pairs, *, num_factors: int, rank: int, seed: int
) -> Iterator[tuple[Factors, float]]:
    """The mean of the drawn factors' products, better after every `SWEEPS` sweeps.

    Beside it stands the mean squared error of the last draw on `pairs`. Later
    draws weigh more (Shamir and Zhang's polynomial-decay average, 2013), so that
    there is no burn-in to choose. The mean is kept as `rank` columns, those of
    its largest singular values.
    """
    unit = _unit(pairs.ratings)
    scaled = pairs._replace(ratings=pairs.ratings / np.float32(unit))
    # The matrices are small: threads only wait for each other, the longer the busier the machine.
    with threadpool_limits(1):
        chain = _Chain(scaled, num_factors, np.random.default_rng(seed))
        mean = chain.sweep()
    for number in itertools.count(1):
        share = (AVERAGE + 1) / (AVERAGE + number)
        with threadpool_limits(1):
            draws = [chain.sweep() for _ in range(SWEEPS)]
            mean = _weighted([mean, *draws], [1 - share, *[share / SWEEPS] * SWEEPS], rank)
        yield _in_unit(mean, unit), chain.error * unit**2


def _unit(ratings: np.ndarray) -> float:
    """What ratings are divided by: their deviation, or 1 where the priors suit them as they are."""
    deviation = float(ratings.std(dtype="float64"))
    return 1.0 if not deviation or 1 / USUAL < deviation < USUAL else deviation


def _in_unit(factors: Factors, unit: float) -> Factors:
    root = np.sqrt(unit)
    users, items, *biases = factors
    return Factors(users * root, items * root, *(bias * unit for bias in biases))


def _weighted(parts: list[Factors], weights: list[float], rank: int) -> Factors:
    roots = np.sqrt(weights, dtype="float32")
    users, items = (
        np.concatenate([root * part[side] for root, part in zip(roots, parts, strict=True)], 1)
        for side in (0, 1)
    )
    biases = (np.average([part[side] for part in parts], 0, weights) for side in (2, 3))
    return Factors(*truncated(users, items, rank), *biases)


class _Side:
    """Users or items: their ratings, what is known and what is drawn of them."""

    def __init__(self, table: sparse.csr_matrix, width: int, random: np.random.Generator) -> None:
        self.cells = table
        self.counts = np.diff(table.indptr)
        self.rows = np.repeat(np.arange(len(self.counts)), self.counts)
        self.columns = table.indices
        met = table.copy()
        met.data = np.repeat(1 / np.sqrt(np.maximum(self.counts, 1)), self.counts)
        vectors, values, _ = spectrum(met, FEATURES)
        self.features = (vectors * values).astype("float32")
        self.drawn = 0.1 * random.standard_normal((len(self.counts), width), "float32")
        self.link = np.zeros((len(values), width), "float32")
        self.centre = np.zeros(width, "float32")
        self.strength = np.float32(1)
        self.trust = np.ones(len(self.counts), "float32")

    @property
    def factors(self) -> np.ndarray:
        """[rows, factors]."""
        return self.drawn[:, :-1]

    @property
    def biases(self) -> np.ndarray:
        """[rows]."""
        return self.drawn[:, -1]


class _Chain:
    """A Markov chain whose every sweep draws all that is unknown, given the rest."""

    def __init__(self, pairs: Pairs, num_factors: int, random: np.random.Generator) -> None:
        self.random = random
        table = pairs.table(pairs.ratings - pairs.ratings.mean())
        turned = table.T.tocsr()
        self.users = _Side(table, num_factors + 1, random)
        self.items = _Side(turned, num_factors + 1, random)
        self.ratings = table.data.copy()
        # Where the items' ratings stand among those of the users.
        numbers = sparse.csr_matrix((np.arange(table.nnz), table.indices, table.indptr))
        self.order = numbers.T.tocsr().data
        self.alpha = np.float32(1)
        self.error = np.inf

    def sweep(self) -> Factors:
        """Draw once; the factors are copies."""
        users, items = self.users, self.items
        self._draw(users, items, slice(None))
        self._draw(items, users, self.order)
        self._draw_noise()
        return Factors(users.factors, items.factors, users.biases, items.biases)

    def _draw(self, side: _Side, other: _Side, order: np.ndarray | slice) -> None:
        prior, precision = self._draw_prior(side)
        seen = other.drawn.copy()
        seen[:, -1] = 1
        rows, columns = np.triu_indices(seen.shape[1])
        trust = self.alpha * side.trust[side.rows] * other.trust[side.columns]
        side.cells.data = trust
        packed = side.cells @ (seen[:, rows] * seen[:, columns])
        side.cells.data = trust * (self.ratings[order] - other.biases[side.columns])
        right = side.cells @ seen + prior @ precision
        normal = np.empty((*precision.shape, len(right)), "float32")
        normal[rows, columns] = normal[columns, rows] = packed.T
        normal += precision[..., None]
        side.drawn = gaussians(normal, right.T, self._noise(*right.T.shape)).T

    def _draw_prior(self, side: _Side) -> tuple[np.ndarray, np.ndarray]:
        """The prior mean of each row, and their common precision matrix."""
        (count, width), features, link = side.drawn.shape, side.features, side.link
        left = side.drawn - side.centre - features @ link
        scatter = left.T @ left + side.strength * link.T @ link
        scatter += CENTRE * np.outer(side.centre, side.centre)
        precision = self._wishart(scatter, width + count + len(link) + 1)
        root = np.linalg.cholesky(np.linalg.inv(precision)).astype("float32")
        free = (side.drawn - features @ link).sum(0) / (count + CENTRE)
        side.centre = free + root @ self._noise(width) / np.float32(np.sqrt(count + CENTRE))
        # The features are orthogonal: each row of the link is drawn by itself.
        scale = (np.square(features).sum(0) + side.strength)[:, None]
        mean = features.T @ (side.drawn - side.centre) / scale
        side.link = mean + self._noise(*link.shape) @ root.T / np.sqrt(scale)
        length = np.sum((side.link @ precision) * side.link)
        side.strength = np.float32(self.random.gamma((link.size + 1) / 2, 2 / (length + 1)))
        return side.centre + features @ side.link, precision.astype("float32")

    def _draw_noise(self) -> None:
        users, items = self.users, self.items
        rows, columns = users.rows, users.columns
        error = self.ratings - users.biases[rows] - items.biases[columns]
        error -= np.einsum("nk,nk->n", users.factors[rows], items.factors[columns])
        square = np.square(error)
        self.error = float(square.mean())
        weighted = float(square @ (users.trust[rows] * items.trust[columns]))
        self.alpha = np.float32(self.random.gamma((len(error) + 1) / 2, 2 / (weighted + 1)))
        self._draw_trust(users, rows, square * items.trust[columns])
        self._draw_trust(items, columns, square * users.trust[rows])

    def _draw_trust(self, side: _Side, rows: np.ndarray, square: np.ndarray) -> None:
        squares = np.bincount(rows, square, len(side.counts))
        rate = TRUST + self.alpha * squares / 2
        side.trust = self.random.gamma(TRUST + side.counts / 2, 1 / rate).astype("float32")

    def _wishart(self, scatter: np.ndarray, freedom: int) -> np.ndarray:
        """A draw by Bartlett's decomposition; the prior's scale is the unit matrix."""
        width = len(scatter)
        root = np.linalg.cholesky(np.linalg.inv(np.eye(width) + scatter))
        lower = np.tril(self.random.standard_normal((width, width)), -1)
        lower += np.diag(np.sqrt(self.random.chisquare(freedom - np.arange(width))))
        return root @ lower @ lower.T @ root.T

    def _noise(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape, "float32")


def gaussians(normal: np.ndarray, right: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draws from Normal(normal^-1 right, normal^-1), many at once; `normal` is overwritten.

    Shapes [k, k, n], [k, n], [k, n]. Cholesky's decomposition column by column
    for all n together: ten times as fast as one small matrix after the other.
    """
    lower, size = normal, len(normal)
    for k in range(size):
        lower[k:, k] /= np.sqrt(lower[k, k])
        lower[k + 1 :, k + 1 :] -= lower[k + 1 :, None, k] * lower[None, k + 1 :, k]
    answer = right.copy()
    for k in range(size):
        answer[k] /= lower[k, k]
        answer[k + 1 :] -= lower[k + 1 :, k] * answer[k]
    answer += noise
    for k in reversed(range(size)):
        answer[k] /= lower[k, k]
        answer[:k] -= lower[k, :k] * answer[k]
    return answer
