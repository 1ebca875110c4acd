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
from evaluation.slices.units import UnitScores, no_class_cuts
from evaluation.tasks.calibration import no_calibration, unchanged
from evaluation.tasks.class_scores import no_class_scores
from evaluation.tasks.list_metrics import K, Lists, coverage, ndcg, popularity_bias, recall
from evaluation.tasks.ranked_users import NO_ITEM, RankedUsers, item_popularity, ranked_users
from inference.modalities import item_scores
from inference.model_outputs import predict_all
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.splits import Splits
from training.coverage import Coverage, Intervals
from training.held_out import values_and_guides
from training.run import Run

calibration, uncalibrated, class_scores = no_calibration, unchanged, no_class_scores
class_cuts = no_class_cuts
NAME: TaskName = "ranking"
METRIC_LENGTHS = (10, 20)  # recommended items that recall and NDCG cover
LIST_LENGTHS = (1, 5, 10, 20, 50)
MAX_PAIRS_PER_BATCH = 200_000  # (user, item) pairs whose scores are computed at once


class Predictions(NamedTuple):
    """Predicted and true ratings of the test pairs, and lists of recommended items.

    Attributes:
        predicted: predicted ratings, [n]; None without ratings, or for a baseline that only ranks.
        target: true ratings, [n].
        users: position of each pair's user among the distinct test users, [n].
        lists: recommended items; None for a baseline that only predicts ratings.
        guides: on which the spread of the errors depends, [n]; None if unknown.

    """

    predicted: np.ndarray | None
    target: np.ndarray
    users: np.ndarray
    lists: Lists | None
    guides: np.ndarray | None = None


def predict_test_set(run: Run) -> Predictions:
    """Predict the test pairs' ratings, and recommend items to the test users."""
    predicted = guides = None
    if has_ratings(run.splits):
        predicted, guides = values_and_guides(predict_all(run.model, run.splits.test))
    return _with_lists(run, predicted)._replace(guides=guides)


def _with_lists(run: Run, predicted: np.ndarray | None) -> Predictions:
    splits, users = run.splits, ranked_users(run.splits)
    length = LIST_LENGTHS[-1]
    model = run.model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def recommend(users: Any) -> Any:
        items = item_scores.top_items(
            model, users, k=tf.constant(length), exclude_seen=tf.constant(True), in_test=False
        )
        return tf.where(tf.math.is_inf(items.scores), NO_ITEM, items.indices)

    step = max(1, MAX_PAIRS_PER_BATCH // users.catalogue_size)
    starts = range(0, len(users.names), step)
    positions = np.flatnonzero(users.candidates)
    with item_scores.recommending_only(model, _texts(users.catalogue[positions])):
        lists = [recommend(tf.constant(users.names[k : k + step])).numpy() for k in starts]
    if not lists:
        return make_predictions(splits, predicted, users, None)
    indices = np.concatenate(lists)
    indices = np.where(indices == NO_ITEM, NO_ITEM, positions[indices])
    return make_predictions(splits, predicted, users, indices)


def _texts(ids: np.ndarray) -> set[str]:
    return {name.decode("utf-8", "surrogateescape") for name in ids.tolist()}


def predict_held_out(run: Run) -> None:
    """Return nothing: validation pairs make no lists like those of the test users."""


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test pairs, without lists."""
    ratings = outputs["rating"] if has_ratings(splits) else None
    return Predictions(ratings, splits.test.targets, _test_users(splits), None)


def make_predictions(
    splits: Splits, predicted: np.ndarray | None, users: RankedUsers, indices: np.ndarray | None
) -> Predictions:
    """Combine predicted ratings and recommended items with the true ratings and relevant items.

    `predicted` holds a rating for each test pair, and `indices` a list of items of the catalogue
    for each user.
    """
    lists = None
    if indices is not None:
        popularity = item_popularity(splits)
        lists = Lists(
            users.positions,
            users.hits(indices),
            users.num_relevant,
            indices,
            popularity,
            float(np.square(popularity).sum() / popularity.sum()),
        )
    return Predictions(predicted, splits.test.targets, _test_users(splits), lists)


def _test_users(splits: Splits) -> np.ndarray:
    """Return the position of each test pair's user among the distinct test users."""
    users = splits.test.numpy().features["user"]
    return number_ids(distinct_ids(users), users) - 1


def has_ratings(splits: Splits) -> bool:
    """Whether the data are ratings; equal targets are interactions without ratings."""
    return bool(np.ptp(splits.train.targets))


def metrics(predictions: Predictions) -> dict[str, float]:
    """Compute RMSE and MAE of the ratings; recall, NDCG, coverage and popularity of the lists.

    Coverage and popularity bias are those of the first 10 items.
    """
    values: dict[str, Any] = {}
    if predictions.predicted is not None:
        values |= _metrics_of_sums(_sums_of_users(predictions, predictions.predicted).sum(0))
    if (lists := predictions.lists) is not None:
        values |= {name: column.mean() for name, column in _metrics_of_users(lists).items()}
        values["coverage"] = coverage(lists)
        values["popularity_bias"] = popularity_bias(lists).mean()
    return {name: float(value) for name, value in values.items()}


def unit_values(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the metrics of each ranked user's list."""
    return {} if predictions.lists is None else _metrics_of_users(predictions.lists)


def unit_scores(predictions: Predictions) -> UnitScores:
    """Return the squared errors of the pairs; without ratings NDCG@10 of each ranked user."""
    if predictions.predicted is not None:
        squares = np.square(predictions.predicted.astype("float64") - predictions.target)
        return UnitScores.of_mean("rmse", squares, is_root=True, clusters=predictions.users)
    lists = predictions.lists
    return UnitScores.of_mean("ndcg_at_10", np.empty(0) if lists is None else ndcg(lists))


def num_units(predictions: Predictions) -> float:
    """Return the number of ranked users; without lists that of all test users."""
    if predictions.lists is None:
        return len(np.unique(predictions.users))
    return len(predictions.lists.user_positions)


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Compute each metric of every bootstrap resample of users."""
    resamples: dict[str, np.ndarray] = {}
    if predictions.predicted is not None:
        resamples |= _metrics_of_sums(
            bootstrap_sums(_sums_of_users(predictions, predictions.predicted), seed)
        )
    if (lists := predictions.lists) is not None:
        values = _metrics_of_users(lists)
        values["popularity_bias"] = popularity_bias(lists)
        columns: dict[str, list[float]] = {name: [] for name in [*values, "coverage"]}
        for rows in resampled_positions(len(lists.user_positions), seed):
            for name, column in values.items():
                columns[name].append(column[rows].mean())
            columns["coverage"].append(coverage(lists, rows=np.unique(rows)))
        resamples |= {name: np.array(column) for name, column in columns.items()}
    return resamples


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """Compute 95 % intervals by resampling users.

    They are BCa intervals of most metrics, Wilson's of a metric that is 0 or 1 for every user, and
    recentred percentiles of coverage. `resamples` is the result of `bootstrap`, which is called by
    default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    result: dict[str, Interval] = {}
    if predictions.predicted is not None:
        result |= bca_of_sums(
            _sums_of_users(predictions, predictions.predicted), _metrics_of_sums, resamples
        )
    if (lists := predictions.lists) is not None:
        for name, values in _metrics_of_users(lists).items():
            result[name] = mean_interval(values, resamples[name], metric(name))
        result["coverage"] = recentred_percentiles(
            coverage(lists), resamples["coverage"], metric("coverage")
        )
        name = "popularity_bias"
        result[name] = mean_interval(popularity_bias(lists), resamples[name], metric(name))
    return result


def _metrics_of_users(lists: Lists) -> dict[str, np.ndarray]:
    """Compute the metrics of each user's list, [users]."""
    return {
        f"{name}_at_{k}": function(lists, k)
        for k in METRIC_LENGTHS
        for name, function in (("recall", recall), ("ndcg", ndcg))
    }


def _sums_of_users(predictions: Predictions, predicted: np.ndarray) -> np.ndarray:
    """Sum over each user's pairs: number, squared errors and absolute errors, [users, 3]."""
    error = predicted.astype("float64") - predictions.target
    weights = (None, np.square(error), np.abs(error))
    sums = np.stack([np.bincount(predictions.users, weight) for weight in weights], axis=1)
    return sums[sums[:, 0] > 0].astype("float64")


def _metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    pairs, squared, absolute = np.moveaxis(sums, -1, 0)
    return {"rmse": np.sqrt(squared / pairs), "mae": absolute / pairs}


def covered(predictions: Predictions, wanted: Coverage) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether each interval contains the true rating, and its width."""
    predicted, guides = predictions.predicted, predictions.guides
    if not isinstance(wanted, Intervals) or predicted is None or guides is None:
        return None
    half = wanted.half_widths(guides)
    return np.abs(predicted.astype("float64") - predictions.target) <= half, 2 * half


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """Compute the metrics of lists of several lengths."""
    if (lists := predictions.lists) is None:
        return {}
    return {
        "lists": [
            {
                "k": k,
                "recall": float(recall(lists, k).mean()),
                "ndcg": float(ndcg(lists, k).mean()),
                "coverage": coverage(lists, k),
                "popularity_bias": float(popularity_bias(lists, k).mean()),
            }
            for k in LIST_LENGTHS
            if k <= lists.indices.shape[1]
        ]
    }


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Draw predicted against true ratings, and the popularity of the recommended items."""
    from evaluation.tasks import ranking_figures

    drawn = {}
    if predictions.predicted is not None:
        drawn["ratings.png"] = ranking_figures.ratings(predictions.predicted, predictions.target)
    if (lists := predictions.lists) is not None:
        drawn["popularity.png"] = ranking_figures.popularity(
            lists.popularity, lists.indices[:, :K], coverage(lists)
        )
    return drawn
