"""Bayesian matrix factorisation by Gibbs sampling.

Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix Factorization using Markov Chain
Monte Carlo", 2008, with two extensions. Which items a user interacted with, whatever the
rating, informs the prior: the prior mean of the user's factors is a linear map of the leading
singular vectors of the interaction matrix (the map as in Simm et al., "Macau", 2015; the idea
as in SVD++), and likewise for items. And each user and item has a noise level of its own
(Lakshminarayanan, Bouchard and Archambeau, 2011).

    rating(u, i) = mean + p_u q_i + b_u + c_i + noise / sqrt(alpha t_u t_i)
    (p_u, b_u)  ~ Normal(centre + link' z_u, Lambda^-1)     and (q_i, c_i) likewise
    Lambda ~ Wishart,  link ~ Normal(0, (link_precision Lambda)^-1),
    t ~ Gamma(NOISE_SHAPE, NOISE_SHAPE)
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from apps.recommender.factors import (
    Factors,
    Interactions,
    Spread,
    randomized_svd,
    reduce_rank,
)
from apps.recommender.rating_spread import SpreadEstimate

NUM_SINGULAR_VECTORS = 128  # of the interaction matrix, which inform the priors
# An epoch has as many sweeps as sample this many ratings, within the bounds.
RATINGS_PER_EPOCH, MIN_SWEEPS, MAX_SWEEPS = 10_000_000, 5, 20
AVERAGING_POWER = 1.0  # how fast the average forgets early samples
NOISE_SHAPE = 25.0  # of the Gamma prior of a user's or an item's noise precision
MIN_EIGENVALUE = 1e-6  # of the largest one: below it features repeat others
CENTRE_PRECISION = 2.0  # prior rows behind the centre of users or items
# The priors suit ratings whose standard deviation lies in 1/16 to 16, such as 1 to 5 stars.
MAX_UNSCALED_DEVIATION = 16.0


def posterior_means(
    interactions: Interactions,
    *,
    num_factors: int,
    rank: int,
    seed: int,
    contents: Sequence[np.ndarray | None] = (None, None),
) -> Iterator[tuple[Factors, float]]:
    """Yield, after every epoch, the posterior mean of the factor products and the last error.

    The mean has `rank` columns, those of its largest singular values. Later samples weigh more
    (Shamir and Zhang's polynomial-decay average, 2013), so that no burn-in has to be chosen.
    The error is the mean squared error on the interactions. The factors have the spread of the
    ratings around the mean. `contents` are features of the users and of the items, [rows, any],
    which inform the priors too.
    """
    unit = _rating_unit(interactions.ratings)
    scaled = interactions._replace(ratings=interactions.ratings / np.float32(unit))
    sweeps = min(max(RATINGS_PER_EPOCH // len(scaled.ratings), MIN_SWEEPS), MAX_SWEEPS)
    # The matrices are small: with several threads most of the time is waiting.
    with threadpool_limits(1):
        chain = _GibbsSampler(scaled, num_factors, np.random.default_rng(seed), contents)
        mean = chain.sweep()
    estimate = SpreadEstimate(scaled)
    for epoch in itertools.count(1):
        weight = (AVERAGING_POWER + 1) / (AVERAGING_POWER + epoch)
        with threadpool_limits(1):
            samples = [chain.sweep() for _ in range(sweeps)]
            weights = [1 - weight, *[weight / sweeps] * sweeps]
            mean = _weighted_mean([mean, *samples], weights, rank)
            estimate.update(samples, weight)
        mean = mean._replace(spread=estimate.spread())
        yield _rescaled(mean, unit), chain.error * unit**2


def _rating_unit(ratings: np.ndarray) -> float:
    """Return the divisor of the ratings: 1 if the priors suit them, else their deviation."""
    deviation = float(ratings.std(dtype="float64"))
    fits = 1 / MAX_UNSCALED_DEVIATION < deviation < MAX_UNSCALED_DEVIATION
    return 1.0 if not deviation or fits else deviation


def _rescaled(factors: Factors, unit: float) -> Factors:
    root = np.sqrt(unit)
    return Factors(
        factors.users * root,
        factors.items * root,
        factors.user_biases * unit,
        factors.item_biases * unit,
        Spread(factors.spread.users * unit, factors.spread.items * unit),
    )


def _weighted_mean(samples: list[Factors], weights: list[float], rank: int) -> Factors:
    roots = np.sqrt(weights, dtype="float32")
    users, items = (
        np.concatenate(
            [root * sample[side] for root, sample in zip(roots, samples, strict=True)], 1
        )
        for side in (0, 1)
    )
    biases = [np.average([sample[side] for sample in samples], 0, weights) for side in (2, 3)]
    return Factors(*reduce_rank(users, items, rank), biases[0], biases[1])


class _Side:
    """The users, or the items: their ratings, their features and the current sample."""

    def __init__(
        self,
        matrix: sparse.csr_matrix,
        width: int,
        random: np.random.Generator,
        content: np.ndarray | None,
    ) -> None:
        self.cells = matrix
        self.counts = np.diff(matrix.indptr)
        self.rows = np.repeat(np.arange(len(self.counts)), self.counts)
        self.columns = matrix.indices
        normalized = matrix.copy()
        normalized.data = np.repeat(1 / np.sqrt(np.maximum(self.counts, 1)), self.counts)
        vectors, values, _ = randomized_svd(normalized, NUM_SINGULAR_VECTORS)
        self.features = (vectors * values).astype("float32")
        if content is not None:
            self.features = _joined_features(self.features, content)
        self.sample = 0.1 * random.standard_normal((len(self.counts), width), "float32")
        self.link = np.zeros((self.features.shape[1], width), "float32")
        self.centre = np.zeros(width, "float32")
        self.link_precision = np.float32(1)
        self.noise_precision = np.ones(len(self.counts), "float32")

    @property
    def factors(self) -> np.ndarray:
        """[rows, factors]."""
        return self.sample[:, :-1]

    @property
    def biases(self) -> np.ndarray:
        """[rows]."""
        return self.sample[:, -1]


def _joined_features(features: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Join two kinds of features as orthogonal ones; the columns of both weigh the same."""
    lengths = [float(np.linalg.norm(part) / np.sqrt(part.shape[1])) for part in (features, content)]
    scale = lengths[0] / max(lengths[1], 1e-9)
    joined = np.concatenate([features, content * scale], 1)
    values, vectors = np.linalg.eigh(joined.T @ joined)
    kept = vectors[:, values > MIN_EIGENVALUE * values[-1]]
    return (joined @ kept).astype("float32")


class _GibbsSampler:
    """A Markov chain: every sweep samples each unknown given all others."""

    def __init__(
        self,
        interactions: Interactions,
        num_factors: int,
        random: np.random.Generator,
        contents: Sequence[np.ndarray | None],
    ) -> None:
        self.random = random
        matrix = interactions.matrix(interactions.ratings - interactions.ratings.mean())
        transposed = matrix.T.tocsr()
        self.users = _Side(matrix, num_factors + 1, random, contents[0])
        self.items = _Side(transposed, num_factors + 1, random, contents[1])
        self.ratings = matrix.data.copy()
        # For each cell of the items' matrix, its number among those of the users' matrix.
        numbers = sparse.csr_matrix((np.arange(matrix.nnz), matrix.indices, matrix.indptr))
        self.order = numbers.T.tocsr().data
        self.alpha = np.float32(1)
        self.error = np.inf

    def sweep(self) -> Factors:
        """Sample once."""
        users, items = self.users, self.items
        self._sample(users, items, slice(None))
        self._sample(items, users, self.order)
        self._sample_noise()
        noise = Spread(1 / (self.alpha * users.noise_precision), 1 / items.noise_precision)
        return Factors(users.factors, items.factors, users.biases, items.biases, noise)

    def _sample(self, side: _Side, other: _Side, order: np.ndarray | slice) -> None:
        prior, precision = self._sample_prior(side)
        regressors = other.sample.copy()
        regressors[:, -1] = 1
        rows, columns = np.triu_indices(regressors.shape[1])
        weights = self.alpha * side.noise_precision[side.rows] * other.noise_precision[side.columns]
        side.cells.data = weights
        packed = side.cells @ (regressors[:, rows] * regressors[:, columns])
        side.cells.data = weights * (self.ratings[order] - other.biases[side.columns])
        right = side.cells @ regressors + prior @ precision
        normal = np.empty((*precision.shape, len(right)), "float32")
        normal[rows, columns] = normal[columns, rows] = packed.T
        normal += precision[..., None]
        side.sample = gaussians(normal, right.T, self._gaussian(*right.T.shape)).T

    def _sample_prior(self, side: _Side) -> tuple[np.ndarray, np.ndarray]:
        """Return the prior mean of each row, and the precision matrix of all rows."""
        (count, width), features, link = side.sample.shape, side.features, side.link
        residual = side.sample - side.centre - features @ link
        scatter = residual.T @ residual + side.link_precision * link.T @ link
        scatter += CENTRE_PRECISION * np.outer(side.centre, side.centre)
        precision = self._wishart(scatter, width + count + len(link) + 1)
        root = np.linalg.cholesky(np.linalg.inv(precision)).astype("float32")
        rows = count + CENTRE_PRECISION
        centre_mean = (side.sample - features @ link).sum(0) / rows
        side.centre = centre_mean + root @ self._gaussian(width) / np.float32(np.sqrt(rows))
        # The features are orthogonal, so that the rows of the link are independent.
        scale = (np.square(features).sum(0) + side.link_precision)[:, None]
        link_mean = features.T @ (side.sample - side.centre) / scale
        side.link = link_mean + self._gaussian(*link.shape) @ root.T / np.sqrt(scale)
        length = np.sum((side.link @ precision) * side.link)
        gamma = self.random.gamma((link.size + 1) / 2, 2 / (length + 1))
        side.link_precision = np.float32(gamma)
        return side.centre + features @ side.link, precision.astype("float32")

    def _sample_noise(self) -> None:
        users, items = self.users, self.items
        rows, columns = users.rows, users.columns
        error = self.ratings - users.biases[rows] - items.biases[columns]
        error -= np.einsum("nk,nk->n", users.factors[rows], items.factors[columns])
        square = np.square(error)
        self.error = float(square.mean())
        weighted = float(square @ (users.noise_precision[rows] * items.noise_precision[columns]))
        self.alpha = np.float32(self.random.gamma((len(error) + 1) / 2, 2 / (weighted + 1)))
        self._sample_noise_precision(users, rows, square * items.noise_precision[columns])
        self._sample_noise_precision(items, columns, square * users.noise_precision[rows])

    def _sample_noise_precision(self, side: _Side, rows: np.ndarray, square: np.ndarray) -> None:
        squares = np.bincount(rows, square, len(side.counts))
        shape, rate = NOISE_SHAPE + side.counts / 2, NOISE_SHAPE + self.alpha * squares / 2
        side.noise_precision = self.random.gamma(shape, 1 / rate).astype("float32")

    def _wishart(self, scatter: np.ndarray, freedom: int) -> np.ndarray:
        """Return a sample by Bartlett's decomposition; the scale of the prior is the identity."""
        width = len(scatter)
        root = np.linalg.cholesky(np.linalg.inv(np.eye(width) + scatter))
        lower = np.tril(self.random.standard_normal((width, width)), -1)
        lower += np.diag(np.sqrt(self.random.chisquare(freedom - np.arange(width))))
        return root @ lower @ lower.T @ root.T

    def _gaussian(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape, "float32")


def gaussians(normal: np.ndarray, right: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draw n samples from Normal(normal^-1 right, normal^-1); `normal` is overwritten.

    Shapes [k, k, n], [k, n], [k, n]. Cholesky's decomposition runs column by column for all n
    together: ten times as fast as one small matrix after the other.
    """
    lower, size = normal, len(normal)
    for k in range(size):
        lower[k:, k] /= np.sqrt(lower[k, k])
        lower[k + 1 :, k + 1 :] -= lower[k + 1 :, None, k] * lower[None, k + 1 :, k]
    samples = right.copy()
    for k in range(size):
        samples[k] /= lower[k, k]
        samples[k + 1 :] -= lower[k + 1 :, k] * samples[k]
    samples += noise
    for k in reversed(range(size)):
        samples[k] /= lower[k, k]
        samples[:k] -= lower[k, :k] * samples[k]
    return samples
