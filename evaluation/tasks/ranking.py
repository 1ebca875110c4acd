"""Evaluate predicted ratings of (user, item) pairs, and lists of recommended items."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from apps.metrics import metric
from evaluation.intervals import (
    Interval,
    Resamples,
    bca_of_sums,
    bootstrap_sums,
    mean_interval,
    recentred_percentiles,
    resampled_positions,
)
from evaluation.tasks.ranked_users import NO_ITEM, RankedUsers, ranked_users
from inference.modalities import item_scores
from inference.model_outputs import predict_all
from pipelines.ids.reading import distinct_ids, number_ids
from pipelines.splits import Splits
from training.run import Run

NAME: TaskName = "ranking"
K = 10
LIST_LENGTHS = (1, 5, 10, 20, 50)
MAX_PAIRS_PER_BATCH = 200_000  # (user, item) pairs whose scores are computed at once


class Lists(NamedTuple):
    """Recommended items of the ranked users.

    Attributes:
        user_positions: position of each user among the distinct test users, [n].
        hits: whether a recommended item is relevant, [n, length].
        num_relevant: relevant test items of each user, [n].
        indices: index of each recommended item in the catalogue, or NO_ITEM, [n, length].
        popularity: number of training pairs of each item of the catalogue.
        mean_popularity: popularity of a training pair's item, averaged over the training pairs.

    """

    user_positions: np.ndarray
    hits: np.ndarray
    num_relevant: np.ndarray
    indices: np.ndarray
    popularity: np.ndarray
    mean_popularity: float


class Predictions(NamedTuple):
    """Predicted and true ratings of the test pairs, and lists of recommended items.

    Attributes:
        predicted: predicted ratings, [n]; None without ratings, or for a baseline that only ranks.
        target: true ratings, [n].
        users: position of each pair's user among the distinct test users, [n].
        lists: recommended items; None for a baseline that only predicts ratings.

    """

    predicted: np.ndarray | None
    target: np.ndarray
    users: np.ndarray
    lists: Lists | None


def predict_test_set(run: Run) -> Predictions:
    """Predict the test pairs' ratings, and recommend items to the test users."""
    splits = run.splits
    predicted = predict_all(run.model, splits.test)[:, 0] if has_ratings(splits) else None
    users = ranked_users(splits)
    length = LIST_LENGTHS[-1]
    model = run.model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def recommend(users: Any) -> Any:
        found = item_scores.top_items(
            model, users, k=tf.constant(length), exclude_seen=tf.constant(True), in_test=False
        )
        return tf.where(tf.math.is_inf(found.scores), NO_ITEM, found.indices)

    step = max(1, MAX_PAIRS_PER_BATCH // users.catalogue_size)
    starts = range(0, len(users.names), step)
    places = [recommend(tf.constant(users.names[k : k + step])).numpy() for k in starts]
    return make_predictions(splits, predicted, users, np.concatenate(places) if places else None)


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test pairs, without lists."""
    ratings = outputs["rating"] if has_ratings(splits) else None
    return Predictions(ratings, splits.test.targets, _test_users(splits), None)


def make_predictions(
    splits: Splits, predicted: np.ndarray | None, users: RankedUsers, places: np.ndarray | None
) -> Predictions:
    """Combine predicted ratings and recommended items with the true ratings and relevant items."""
    lists = None
    if places is not None:
        popularity = item_popularity(splits)
        lists = Lists(
            users.positions,
            users.hits(places),
            users.num_relevant,
            places,
            popularity,
            float(np.square(popularity).sum() / popularity.sum()),
        )
    return Predictions(predicted, splits.test.targets, _test_users(splits), lists)


def _test_users(splits: Splits) -> np.ndarray:
    """Position of each test pair's user among the distinct test users."""
    users = splits.test.numpy().features["user"]
    return number_ids(distinct_ids(users), users) - 1


def has_ratings(splits: Splits) -> bool:
    """Whether the data are ratings; if all targets are equal, they are only interactions."""
    return bool(np.ptp(splits.train.targets))


def item_popularity(splits: Splits) -> np.ndarray:
    """Count the training pairs of each item of the catalogue."""
    items = splits.train.numpy().features["item"]
    return np.bincount(number_ids(distinct_ids(items), items) - 1).astype("float64")


def recall(lists: Lists, k: int = K) -> np.ndarray:
    """Share of each user's relevant items among the first k, [users]."""
    return lists.hits[:, :k].sum(1) / lists.num_relevant


def ndcg(lists: Lists, k: int = K) -> np.ndarray:
    """Normalised discounted cumulative gain of each user (Jarvelin and Kekalainen, 2002)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0], np.cumsum(discounts)])
    hits = lists.hits[:, :k]
    return (hits * discounts[: hits.shape[1]]).sum(1) / best[np.minimum(lists.num_relevant, k)]


def coverage(lists: Lists, k: int = K, rows: Any = slice(None)) -> float:
    """Share of the catalogue that is among the first k of at least one list."""
    places = np.unique(lists.indices[rows, :k])
    return np.count_nonzero(places != NO_ITEM) / len(lists.popularity)


def metrics(predictions: Predictions) -> dict[str, float]:
    """RMSE and MAE of the ratings; Recall@10, NDCG@10 and coverage of lists of all items."""
    found: dict[str, Any] = {}
    if predictions.predicted is not None:
        found |= _metrics_of_sums(_sums_of_users(predictions, predictions.predicted).sum(0))
    if (lists := predictions.lists) is not None:
        found |= {name: values.mean() for name, values in _metrics_of_users(lists).items()}
        found["coverage"] = coverage(lists)
    return {name: float(value) for name, value in found.items()}


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Each metric of every bootstrap resample of users."""
    found: dict[str, np.ndarray] = {}
    if predictions.predicted is not None:
        found |= _metrics_of_sums(
            bootstrap_sums(_sums_of_users(predictions, predictions.predicted), seed)
        )
    if (lists := predictions.lists) is not None:
        values = _metrics_of_users(lists)
        resamples: dict[str, list[float]] = {name: [] for name in [*values, "coverage"]}
        for rows in resampled_positions(len(lists.user_positions), seed):
            for name, column in values.items():
                resamples[name].append(column[rows].mean())
            resamples["coverage"].append(coverage(lists, rows=np.unique(rows)))
        found |= {name: np.array(column) for name, column in resamples.items()}
    return found


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """95 % intervals by resampling users.

    BCa for most metrics; Wilson's for one that is 0 or 1 for every user; recentred percentiles for
    coverage.

    `resamples` is the result of `bootstrap`, which is called by default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    found: dict[str, Interval] = {}
    if predictions.predicted is not None:
        found |= bca_of_sums(
            _sums_of_users(predictions, predictions.predicted), _metrics_of_sums, resamples
        )
    if (lists := predictions.lists) is not None:
        for name, values in _metrics_of_users(lists).items():
            found[name] = mean_interval(values, resamples[name], metric(name))
        found["coverage"] = recentred_percentiles(
            coverage(lists), resamples["coverage"], metric("coverage")
        )
    return found


def _metrics_of_users(lists: Lists) -> dict[str, np.ndarray]:
    """Metrics of each user's list, [users]."""
    return {"recall_at_10": recall(lists), "ndcg_at_10": ndcg(lists)}


def _sums_of_users(predictions: Predictions, predicted: np.ndarray) -> np.ndarray:
    """Sums over each user's pairs: their number, squared and absolute errors, [users, 3]."""
    error = predicted.astype("float64") - predictions.target
    weights = (None, np.square(error), np.abs(error))
    sums = np.stack([np.bincount(predictions.users, one) for one in weights], axis=1)
    return sums[sums[:, 0] > 0].astype("float64")


def _metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    pairs, squared, absolute = np.moveaxis(sums, -1, 0)
    return {"rmse": np.sqrt(squared / pairs), "mae": absolute / pairs}


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """Metrics of lists of several lengths.

    Popularity bias is the mean popularity of the recommended items, divided by that of the
    items in the training pairs. Above 1, the lists prefer popular items more than users do.
    """
    if (lists := predictions.lists) is None:
        return {}
    return {
        "lists": [
            {
                "k": k,
                "recall": float(recall(lists, k).mean()),
                "ndcg": float(ndcg(lists, k).mean()),
                "coverage": coverage(lists, k),
                "popularity_bias": _popularity_bias(lists, k),
            }
            for k in LIST_LENGTHS
            if k <= lists.indices.shape[1]
        ]
    }


def _popularity_bias(lists: Lists, k: int) -> float:
    places = lists.indices[:, :k]
    popularity = lists.popularity[places[places != NO_ITEM]]
    return float(popularity.mean() / lists.mean_popularity) if len(popularity) else 0.0


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Predicted against true ratings; popularity of the recommended items."""
    from evaluation.tasks import ranking_pictures

    drawn = {}
    if predictions.predicted is not None:
        drawn["ratings.png"] = ranking_pictures.ratings(predictions.predicted, predictions.target)
    if (lists := predictions.lists) is not None:
        share = coverage(lists)
        drawn["popularity.png"] = ranking_pictures.popularity(
            lists.popularity, lists.indices[:, :K], share
        )
    return drawn
