"""Tables whose dot products rank items: a blend of EASE and alternating least squares.

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
EASE_RANK, EASE_L2 = 128, 3.0
IALS_FACTORS, IALS_ITERATIONS = 32, 6
# The weight of unobserved pairs is MAX_UNOBSERVED_WEIGHT, in large catalogues this number divided
# by the root of the number of items.
UNOBSERVED_SCALE, MAX_UNOBSERVED_WEIGHT = 12.0, 0.3
IALS_L2_SHARE = 0.13  # about the penalty of a user, as a share of their mean weight
RATING_POWER = 2  # of a rating's share of the highest one, as the weight of its interaction
SCORE_WIDTH = EASE_RANK + IALS_FACTORS + 1  # the last column is popularity
POPULARITY_WEIGHT = 1e-4  # of popularity in every score, to break ties
MAX_SCORES = 2**25  # of validation pairs times items, computed at once
MAX_VALIDATION_PAIRS = 2000  # by which the blend is chosen


class Blend(NamedTuple):
    """Weights of the models in a score, of a user's scores with a deviation of 1 in each model."""

    ease: float
    ials: float


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
BLENDS = (Blend(0.5, 0.5), Blend(1.0, 0.0), Blend(0.0, 1.0))


def ranking_tables(interactions: Interactions, validation: Interactions) -> Ranking:
    """Return scores by which items are ranked, as dot products; unknown users get popularity."""
    weights = interaction_weights(interactions)
    ease_tables, sources = _ease_tables(weights)
    parts = [_standardized(part) for part in (ease_tables, _ials_tables(weights))]
    counts = np.bincount(interactions.items, minlength=interactions.num_items)
    popularity = counts / interactions.num_users
    candidates = [_joined(parts, blend, popularity) for blend in BLENDS]
    relevant = relevant_pairs(interactions, validation)
    gains = [pair_gains(tables, interactions, relevant) for tables in candidates]
    chosen = clearly_best(gains)
    popular = _joined(parts, Blend(0.0, 0.0), popularity)
    if pair_gains(popular, interactions, relevant).sum() > gains[chosen].sum():
        return Ranking(*popular, _liked(np.zeros_like(sources), popularity_weight=1.0))
    tables = _scaled_to_interactions(candidates[chosen], interactions)
    return Ranking(*tables, _liked(sources, popularity_weight=POPULARITY_WEIGHT))


def _liked(sources: np.ndarray, popularity_weight: float) -> np.ndarray:
    rows = np.zeros((len(sources) + 1, SCORE_WIDTH), "float32")
    rows[1:, : sources.shape[1]] = sources
    rows[1:, -1] = popularity_weight
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

    If all ratings are equal, every interaction counts 1.
    """
    ratings = interactions.ratings.astype("float64")
    if not np.ptp(ratings):
        return interactions.matrix(np.ones(len(ratings), "float32"))
    ratings = ratings - min(ratings.min(), 0.0)
    return interactions.matrix(((ratings / ratings.max()) ** RATING_POWER).astype("float32"))


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
            l2=IALS_L2_SHARE * mean_weight / (unobserved_weight * num_items),
            iterations=IALS_ITERATIONS,
        )
    )


def _joined(parts: list[Tables], blend: Blend, popularity: np.ndarray) -> Tables:
    """Join the columns of the models; without a model in the blend, popularity alone counts."""
    users, items = (np.concatenate(side, 1) for side in zip(*parts, strict=True))
    widths = [part.users.shape[1] for part in parts]
    users = np.column_stack([users * np.repeat(blend, widths), np.zeros(len(users))])
    users = np.concatenate([np.zeros((1, users.shape[1])), users])
    users[:, -1] = POPULARITY_WEIGHT if any(blend) else 1
    users[0, -1] = 1
    items = np.column_stack([items, popularity])
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
