"""Baselines that recommend items: popularity, nearest items, and EASE.

Each scores the whole catalogue for a user. Items of the user's training and validation pairs are
left out, as for a model.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from evaluation.tasks import ranking
from evaluation.tasks.ranked_users import NO_ITEM, RankedUsers
from pipelines.examples import Examples
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.splits import Splits

MAX_EASE_ITEMS = 4096  # EASE inverts a matrix [items, items]; it is left out for more items
EASE_L2 = 200.0  # in the range of the paper's experiments; not tuned
TIE_BREAK = 1e-9  # of popularity in a score
MAX_SCORES = 2**24  # of users times items, computed at once
# The similarities of all pairs take up to 4 GB, and far less time than a product for each user.
MAX_SIMILARITY_ITEMS = 2**15
COLUMNS_PER_BLOCK = 1024

Scorer = Callable[[sparse.csr_matrix], np.ndarray]


class _Pairs(NamedTuple):
    """Pairs of asked users and items of the catalogue, as positions, with their targets."""

    users: np.ndarray
    items: np.ndarray
    targets: np.ndarray
    shape: tuple[int, int]

    def matrix(self, values: np.ndarray) -> sparse.csr_matrix:
        """Return a value for each pair, [users, items]."""
        return sparse.csr_matrix((values, (self.users, self.items)), self.shape)


def recommend(splits: Splits, users: RankedUsers) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the lists of each baseline: indices in the catalogue, [users, length]."""
    features = splits.train.numpy().features
    catalogue = users.catalogue
    train = _pairs(splits.train, distinct_ids(features["user"]), catalogue)
    known = _pairs(splits.train, users.names, catalogue)
    seen = _ones(known) + _ones(_pairs(splits.valid, users.names, catalogue))
    counts = np.bincount(train.items, minlength=len(catalogue))
    popularity = np.where(users.candidates, TIE_BREAK * counts / counts.max(), -np.inf)

    def lists(score: Scorer, rows: sparse.csr_matrix) -> np.ndarray:
        step = max(1, MAX_SCORES // len(catalogue))
        parts = (slice(start, start + step) for start in range(0, len(users.names), step))
        best = [_best_unseen(score(rows[part]) + popularity, seen[part]) for part in parts]
        return np.concatenate(best)

    yield "popularity", lists(lambda rows: np.zeros(rows.shape), _ones(known))
    yield "item_knn", lists(nearest_items(_ones(train)), _ones(known))
    if len(catalogue) <= MAX_EASE_ITEMS:
        yield "ease", lists(ease(_ratings(train, splits)), _ratings(known, splits))
    if "item" in splits.contents:
        yield "content", lists(similar_content(splits, catalogue), _ones(known))


def _ones(pairs: _Pairs) -> sparse.csr_matrix:
    return pairs.matrix(np.ones(len(pairs.users)))


def _ratings(pairs: _Pairs, splits: Splits) -> sparse.csr_matrix:
    """Return ratings divided by the largest one; ones if no rating is positive."""
    largest = float(splits.train.targets.max())
    return pairs.matrix(pairs.targets.astype("float64") / largest) if largest > 0 else _ones(pairs)


def nearest_items(train: sparse.csr_matrix) -> Scorer:
    """Score items by the sum of their cosine similarities to the user's items.

    Similarity is that of the sets of users who interacted with the items; ratings do not count.
    """
    scale = sparse.diags(1 / np.sqrt(np.maximum(np.diff(train.tocsc().indptr), 1)))
    unit = (train @ scale).astype("float32")
    if train.shape[1] > MAX_SIMILARITY_ITEMS:
        return lambda rows: ((rows @ scale @ unit.T) @ unit).toarray()
    similarities = _products_of_columns(unit)
    return lambda rows: (rows @ scale) @ similarities


def _products_of_columns(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return the products of all pairs of columns, in blocks: they are hardly sparse."""
    transposed, columns = matrix.T.tocsr(), matrix.tocsc()
    products = np.empty((matrix.shape[1], matrix.shape[1]), matrix.dtype)
    for start in range(0, matrix.shape[1], COLUMNS_PER_BLOCK):
        part = slice(start, start + COLUMNS_PER_BLOCK)
        products[:, part] = (transposed @ columns[:, part].tocsr()).toarray()
    return products


def similar_content(splits: Splits, catalogue: np.ndarray) -> Scorer:
    """Score items by the sum of the cosine similarities of their content to the user's items."""
    from apps.recommender.content import ContentRows

    content = splits.contents["item"]
    features = ContentRows.adapted(content, 0).features(content.columns.features)
    rows = content.rows_of(catalogue)
    known = np.where((rows >= 0)[:, None], features[rows], 0.0)
    unit = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-9)
    return lambda pairs: (pairs @ unit) @ unit.T


def ease(train: sparse.csr_matrix) -> Scorer:
    """Score items by the linear model of Steck, 2019, equation 8, of ratings."""
    gram = (train.T @ train).toarray()
    gram[np.diag_indices_from(gram)] += EASE_L2
    inverse = linalg.inv(gram, assume_a="pos", overwrite_a=True)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return lambda rows: rows @ weights


def _pairs(part: Examples, names: np.ndarray, catalogue: np.ndarray) -> _Pairs:
    features, targets = part.numpy()
    users, items = (
        number_ids(known, features[kind]) - 1
        for known, kind in ((names, "user"), (catalogue, "item"))
    )
    rows = np.flatnonzero((users >= 0) & (items >= 0))
    return _Pairs(users[rows], items[rows], targets[rows], (len(names), len(catalogue)))


def _best_unseen(scores: np.ndarray, left_out: sparse.csr_matrix) -> np.ndarray:
    """Return the indices of the highest scores without the items left out; NO_ITEM at the end."""
    seen = left_out.tocoo()
    scores[seen.row, seen.col] = -np.inf
    order = _highest(scores, min(ranking.LIST_LENGTHS[-1], scores.shape[1]))
    return np.where(np.isinf(np.take_along_axis(scores, order, 1)), NO_ITEM, order)


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the columns of the highest scores of each row, the first of equal ones first."""
    lowest = np.partition(scores, -count, axis=1)[:, -count]
    found = np.empty((len(scores), count), "int64")
    for row, (values, bound) in enumerate(zip(scores, lowest, strict=True)):
        columns = np.flatnonzero(values >= bound)
        found[row] = columns[np.argsort(-values[columns], kind="stable")[:count]]
    return found
