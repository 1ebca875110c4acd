"""Ids: baselines of a recommender, and its metrics by activity of the users."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from apps.app import ModalityName
from evaluation.modalities import list_baselines
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.slices.cuts import Cut, by_timeline
from evaluation.tasks import list_metrics, ranking
from evaluation.tasks.ranked_users import ranked_users
from evaluation.tasks.ranking import Predictions
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.splits import Splits
from training.run import Run

NAME: ModalityName = "ids"
# Users are grouped by their training pairs; each number begins a group.
GROUP_EDGES = (1, 10, 30, 100, 300)
GROUP_NAMES = ("none", "1-9", "10-29", "30-99", "100-299", "300+")
BIAS_DAMPING = 5.0  # in ratings: shrinks the biases of users and items with few ratings


def baselines(splits: Splits) -> Iterator[tuple[str, Predictions]]:
    """Predict by the mean and biases, recommend by simple models, and add the noise floor.

    Only simulated ratings have a known noise floor.
    """
    users = ranked_users(splits)
    if ranking.has_ratings(splits):
        mean = np.full(len(splits.test), splits.train.targets.mean(dtype="float64"))
        yield "global_mean", ranking.make_predictions(splits, mean, users, None)
        biased = _bias_ratings(splits)
        yield "user_and_item_means", ranking.make_predictions(splits, biased, users, None)
    if len(users.names):
        for name, lists in list_baselines.recommend(splits, users):
            yield name, ranking.make_predictions(splits, None, users, lists)
    if splits.noise_floor is not None:
        noisy = _noisy_ratings(splits, splits.noise_floor)
        yield NOISE_FLOOR, ranking.make_predictions(splits, noisy, users, None)


def _noisy_ratings(splits: Splits, noise_floor: float) -> np.ndarray:
    """Add the noise, which no model can predict, to the true ratings."""
    noise = np.random.default_rng(0).standard_normal(len(splits.test))
    return splits.test.targets + noise_floor * noise / np.sqrt(np.square(noise).mean())


def _bias_ratings(splits: Splits) -> np.ndarray:
    """Predict the mean rating plus the damped biases of the item and the user.

    The biases of users are those of the residuals after the biases of items; an unknown user or
    item has the bias 0.
    """
    (train, ratings), (test, _) = splits.train.numpy(), splits.test.numpy()
    mean = ratings.mean(dtype="float64")
    residuals, predicted = ratings - mean, np.full(len(splits.test), mean)
    for kind in ("item", "user"):
        names = distinct_ids(train[kind])
        rows = number_ids(names, train[kind])
        counts = np.bincount(rows, minlength=len(names) + 1)
        bias = np.bincount(rows, residuals, len(names) + 1) / (counts + BIAS_DAMPING)
        residuals = residuals - bias[rows]
        predicted += bias[number_ids(names, test[kind])]
    return predicted


def cuts(run: Run, predictions: Predictions, rows: np.ndarray) -> list[Cut]:
    """Cut the test pairs by activity of the user, popularity of the item, and time.

    Without ratings the units are users with lists, which are cut by activity alone.
    """
    test, train = run.splits.test, run.splits.train.numpy().features
    features = test.numpy().features
    users = distinct_ids(features["user"])
    activity = _group(_training_pairs(users, train["user"]))
    if predictions.predicted is None:
        lists = predictions.lists
        return [] if lists is None else [_count_cut("user", activity[lists.user_positions][rows])]
    items = distinct_ids(features["item"])
    popularity = _group(_training_pairs(items, train["item"]))
    found = [
        _count_cut("user", activity[predictions.users][rows]),
        _count_cut("item", popularity[number_ids(items, features["item"]) - 1][rows]),
    ]
    if test.times is not None:
        found += by_timeline("time", test.times[test.rows][rows])
    return found


def _training_pairs(names: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Count the training pairs of each user or item."""
    return np.bincount(number_ids(names, column), minlength=len(names) + 1)[1:]


def _group(counts: np.ndarray) -> np.ndarray:
    return np.digitize(counts, GROUP_EDGES)


def _count_cut(side: str, groups: np.ndarray) -> Cut:
    labels = (f"training pairs of the {side}: {name}" for name in GROUP_NAMES)
    return Cut(f"training pairs of the {side}", groups.astype("int16"), tuple(labels))


def figures(run: Run, predictions: Predictions) -> dict[str, Any]:
    """Draw the metrics by the number of training pairs of the user."""
    return {"activity.png": _draw_activity(run.splits, predictions)}


def _draw_activity(splits: Splits, predictions: Predictions) -> Any:
    from evaluation.style import FIRST, INK, pyplot

    names = distinct_ids(splits.test.numpy().features["user"])
    groups = _group(_training_pairs(names, splits.train.numpy().features["user"]))
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    if predictions.predicted is not None:
        squares = np.square(predictions.predicted.astype("float64") - predictions.target)
        _draw_bars(axes[0], groups[predictions.users], squares, np.sqrt, FIRST)
        axes[0].set(title="RMSE of the ratings", ylabel="RMSE")
    if predictions.lists is not None:
        _draw_bars(
            axes[1],
            groups[predictions.lists.user_positions],
            list_metrics.ndcg(predictions.lists),
            float,
            INK,
        )
        axes[1].set(title="NDCG@10 of the lists", ylabel="NDCG@10")
    for axis in axes:
        axis.set_xticks(range(len(GROUP_NAMES)), GROUP_NAMES)
        axis.set_xlabel("training pairs of the user; above a bar: test pairs, or users")
    return figure


def _draw_bars(
    axis: Any, groups: np.ndarray, values: np.ndarray, transform: Any, color: str
) -> None:
    """Draw the transformed mean of each group's values, and their number above it."""
    counts = np.bincount(groups, minlength=len(GROUP_NAMES))
    means = np.bincount(groups, values, len(GROUP_NAMES)) / np.maximum(counts, 1)
    bars = axis.bar(range(len(GROUP_NAMES)), [transform(mean) for mean in means], color=color)
    axis.bar_label(bars, [f"{count:,}" if count else "" for count in counts], fontsize=8)
