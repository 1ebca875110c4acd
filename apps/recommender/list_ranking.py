"""Tables whose dot products rank items: EASE, alternating least squares and singular vectors.

Validation pairs choose the blend, or popularity. A test pair counts as relevant if its rating is
at least the mean (see `evaluation.tasks.ranked_users`), and so does a validation pair.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from apps.recommender import ease, ials
from apps.recommender.factors import Interactions, Tables

# EASE inverts a matrix [items, items]; it scores the items with most interactions.
MAX_EASE_ITEMS = 4096
EASE_RANK, EASE_L2 = 128, 4.0
IALS_FACTORS, IALS_ITERATIONS = 32, 6
# The weight of unobserved pairs is MAX_UNOBSERVED_WEIGHT, in large catalogues this number divided
# by the root of the number of items.
UNOBSERVED_SCALE, MAX_UNOBSERVED_WEIGHT = 12.0, 0.3
IALS_L2 = 0.9  # times the root of the mean weight of a user: about the penalty of a user
RATING_POWER = 2  # of a rating's share of the highest one, as the weight of its interaction
MIN_COUNT_SPAN = 10.0  # the highest count divided by the median; of 1 to 10 stars it is at most 10
VECTORS_RANK = 16  # of the leading singular vectors
SCORE_WIDTH = EASE_RANK + IALS_FACTORS + VECTORS_RANK + 1  # the last column is popularity
POPULARITY_WEIGHT = 1e-4  # of popularity in every score, to break ties
MAX_SCORES = 2**25  # of validation pairs times items, computed at once
MAX_VALIDATION_PAIRS = 2000  # by which the blend is chosen


class Blend(NamedTuple):
    """Weights of the models in a score, of a user's scores with a deviation of 1 in each model."""

    ease: float
    ials: float
    vectors: float


class Ranking(NamedTuple):
    """Tables by whose dot products items are ranked; row 0 is for unknown users or items.

    Attributes:
        users: [users + 1, SCORE_WIDTH].
        items: [items + 1, SCORE_WIDTH].
        liked: [items + 1, SCORE_WIDTH]; the sum of the rows of some items is the row of a user
            who likes these items. It uses EASE alone, so that no user has to be known.

    """

    users: np.ndarray
    items: np.ndarray
    liked: np.ndarray


# The first one is used unless validation pairs clearly prefer another.
BLENDS = (Blend(0.5, 0.5, 0.15), Blend(1.0, 0.0, 0.0), Blend(0.0, 1.0, 0.0))
POPULARITY = Blend(0.0, 0.0, 0.0)


def ranking_tables(interactions: Interactions, validation: Interactions) -> Ranking:
    """Return scores by which items are ranked, as dot products; unknown users get popularity.

    The validation pairs choose the blend, and then join the pairs to which it is fitted.
    """
    models = _fit_models(interactions)
    blend = _choose_blend(models, interactions, relevant_pairs(interactions, validation))
    if len(validation.users):
        interactions = _joined_pairs(interactions, validation)
        models = _fit_models(interactions)
    tables = _scaled_to_interactions(_blended(models, blend), interactions)
    return Ranking(*tables, _liked(models.sources, blend))


class _Models(NamedTuple):
    """The fitted models, to be blended.

    Attributes:
        parts: tables of EASE, of iALS and of singular vectors; the scores of each user have a
            deviation of 1.
        sources: the share of each item in the row of a user of EASE, [items, EASE_RANK].
        popularity: share of the users who interacted with each item, [items].

    """

    parts: list[Tables]
    sources: np.ndarray
    popularity: np.ndarray


def _fit_models(interactions: Interactions) -> _Models:
    weights = interaction_weights(interactions)
    ease_tables, sources = _ease_tables(weights)
    tables = ease_tables, _ials_tables(weights), _vector_tables(weights)
    parts = [_standardized(part) for part in tables]
    counts = np.bincount(interactions.items, minlength=interactions.num_items)
    return _Models(parts, sources, counts / interactions.num_users)


def _choose_blend(models: _Models, interactions: Interactions, relevant: Interactions) -> Blend:
    gains = [pair_gains(_blended(models, blend), interactions, relevant) for blend in BLENDS]
    chosen = clearly_best(gains)
    popular = pair_gains(_blended(models, POPULARITY), interactions, relevant)
    return POPULARITY if popular.sum() > gains[chosen].sum() else BLENDS[chosen]


def _joined_pairs(first: Interactions, second: Interactions) -> Interactions:
    users, items, ratings = map(np.concatenate, zip(first[:3], second[:3], strict=True))
    return first._replace(users=users, items=items, ratings=ratings)


def _liked(sources: np.ndarray, blend: Blend) -> np.ndarray:
    rows = np.zeros((len(sources) + 1, SCORE_WIDTH), "float32")
    rows[1:, : sources.shape[1]] = sources * any(blend)
    rows[1:, -1] = POPULARITY_WEIGHT if any(blend) else 1
    return rows


def _scaled_to_interactions(tables: Tables, interactions: Interactions) -> Tables:
    """Scale the rows of known users, so that the mean score of the interactions is 1."""
    pairs = interactions.matrix(np.ones(len(interactions.users), "float32"))
    total = np.einsum("uk,uk->", tables.users[1:], pairs @ tables.items[1:], dtype="float64")
    mean = float(total) / len(interactions.users)
    scaled = tables.users.copy()
    if mean > 0:
        scaled[1:] /= mean
    return tables._replace(users=scaled)


def interaction_weights(interactions: Interactions) -> sparse.csr_matrix:
    """Return how much each interaction counts, 0 to 1: high ratings count most.

    The weight is the square of the rating's share of the highest one. Of counts, such as plays, a
    few are far above the others: they weigh between 1/2 and 1, since a small one is no dislike, by
    the mean of the count's rank among all counts and among those of its user. If all ratings are
    equal, every interaction counts 1.
    """
    users, ratings = interactions.users, interactions.ratings.astype("float64")
    if not np.ptp(ratings):
        weights = np.ones(len(ratings))
    elif are_counts(ratings):
        overall = rank_shares(ratings, np.zeros(len(ratings), "int32"))
        weights = (1 + (overall / overall.max() + rank_shares(ratings, users)) / 2) / 2
    else:
        ratings = ratings - min(ratings.min(), 0.0)
        weights = (ratings / ratings.max()) ** RATING_POWER
    return interactions.matrix(weights.astype("float32"))


def rank_shares(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the share of the values of its group below each value; equal values count half."""
    order = np.lexsort((values, groups))
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(groups[order]) != 0) | (np.diff(values[order]) != 0)
    starts = np.flatnonzero(is_new)
    lengths = np.diff(np.append(starts, len(order)))
    sizes = np.bincount(groups)
    first = np.repeat(starts + lengths / 2, lengths) - (np.cumsum(sizes) - sizes)[groups[order]]
    shares = np.empty(len(order))
    shares[order] = first / sizes[groups[order]]
    return shares


def are_counts(ratings: np.ndarray) -> bool:
    """Return whether the ratings look like counts: positive, and some far above the median."""
    return bool(ratings.min() > 0 and ratings.max() > MIN_COUNT_SPAN * np.median(ratings))


def _ease_tables(weights: sparse.csr_matrix) -> tuple[Tables, np.ndarray]:
    """Return the scores of EASE, of the items with most interactions; the others have 0.

    The second result is the share of each item in the row of a user, [items, EASE_RANK].
    """
    counts = np.diff(weights.tocsc().indptr)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MAX_EASE_ITEMS])
    matrix = weights[:, frequent].tocsr()
    found = ease.fit_item_map(matrix, EASE_L2, EASE_RANK)
    users = np.zeros((weights.shape[0], EASE_RANK), "float32")
    items, sources = np.zeros((2, weights.shape[1], EASE_RANK), "float32")
    rank = found.sources.shape[1]
    users[:, :rank] = ease.scaled_rows(matrix) @ found.sources
    items[frequent, :rank], sources[frequent, :rank] = found.targets, found.sources
    return Tables(users, items), sources


def _ials_tables(weights: sparse.csr_matrix) -> Tables:
    num_items, mean_weight = weights.shape[1], weights.sum() / weights.shape[0]
    unobserved_weight = min(MAX_UNOBSERVED_WEIGHT, UNOBSERVED_SCALE / np.sqrt(num_items))
    return Tables(
        *ials.alternating_least_squares(
            weights,
            num_factors=IALS_FACTORS,
            unobserved_weight=unobserved_weight,
            l2=IALS_L2 * np.sqrt(mean_weight) / (unobserved_weight * num_items),
            iterations=IALS_ITERATIONS,
        )
    )


def _vector_tables(weights: sparse.csr_matrix) -> Tables:
    """Return the leading singular vectors; tables of few users or items end with zeros."""
    found = ease.leading_vectors(weights, VECTORS_RANK)
    columns = [(0, 0), (0, VECTORS_RANK - found.users.shape[1])]
    return Tables(*(np.pad(side, columns).astype("float32") for side in found))


def _blended(models: _Models, blend: Blend) -> Tables:
    """Join the columns of the models; without a model in the blend, popularity alone counts."""
    users, items = (np.concatenate(side, 1) for side in zip(*models.parts, strict=True))
    widths = [part.users.shape[1] for part in models.parts]
    users = np.column_stack([users * np.repeat(blend, widths), np.zeros(len(users))])
    users = np.concatenate([np.zeros((1, users.shape[1])), users])
    users[:, -1] = POPULARITY_WEIGHT if any(blend) else 1
    users[0, -1] = 1
    items = np.column_stack([items, models.popularity])
    items = np.concatenate([np.zeros((1, items.shape[1])), items])
    return Tables(users.astype("float32"), items.astype("float32"))


def _standardized(part: Tables) -> Tables:
    """Scale the rows of users, so that the scores of each user have a standard deviation of 1."""
    covariance = np.cov(part.items, rowvar=False, bias=True)
    variances = np.einsum("uk,kl,ul->u", part.users, covariance, part.users, optimize=True)
    deviations = np.sqrt(np.maximum(variances, 0.0))
    scale = np.divide(1.0, deviations, out=np.zeros(len(deviations)), where=deviations > 1e-9)
    return part._replace(users=part.users * scale[:, None])


def relevant_pairs(interactions: Interactions, validation: Interactions) -> Interactions:
    """Return the first validation pairs whose rating is at least the mean of training."""
    is_relevant = validation.ratings >= interactions.ratings.mean(dtype="float64") - 1e-6
    rows = np.flatnonzero(is_relevant)[:MAX_VALIDATION_PAIRS]
    users, items, ratings = (column[rows] for column in validation[:3])
    return validation._replace(users=users, items=items, ratings=ratings)


def pair_gains(tables: Tables, interactions: Interactions, validation: Interactions) -> np.ndarray:
    """Return 1 / log2(1 + rank) of each validation pair among the user's unseen items."""
    pairs = interactions.matrix(np.ones(len(interactions.users), "float32"))
    step = max(1, MAX_SCORES // interactions.num_items)
    blocks = [np.empty(0)]
    for start in range(0, len(validation.users), step):
        users, items = (column[start : start + step] for column in validation[:2])
        scores = tables.users[users + 1] @ tables.items[1:].T
        true = scores[np.arange(len(scores)), items][:, None].copy()
        interacted = pairs[users].tocoo()
        scores[interacted.row, interacted.col] = -np.inf
        # Ties count half, so that constant scores have no advantage.
        ranks = 1 + (scores > true).sum(1) + ((scores == true).sum(1) - 1) / 2
        blocks.append(1 / np.log2(1 + ranks))
    return np.concatenate(blocks)


def clearly_best(gains: list[np.ndarray]) -> int:
    """Return the index of the highest mean if it is clearly above the first one, else 0.

    Clearly is by more than a standard error of the difference.
    """
    differences = [row - gains[0] for row in gains]
    best = int(np.argmax([row.sum() for row in differences]))
    margin = differences[best].std() * np.sqrt(len(gains[0])) if best else 0.0
    return best if differences[best].sum() > margin else 0
