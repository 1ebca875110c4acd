"""Questions that are ids: what a model has to beat, and for whom it answers well."""

from typing import Any

import numpy as np

from evaluation.kinds import FLOOR
from evaluation.tasks import ranking
from evaluation.tasks.ranking import Answers
from pipelines.ids.reading import numbered, vocabulary
from pipelines.splits import Splits
from training.run import Run

EDGES = (1, 10, 30, 100, 300)
GROUPS = ("none", "1-9", "10-29", "30-99", "100-299", "300+")
DAMPING = 5.0  # ratings of the mean that a user's or an item's own ones are mixed with


def baselines(splits: Splits) -> dict[str, Answers]:
    """Trivial ratings of the test pairs, trivial lists for their users, and the noise floor."""
    found: dict[str, Answers] = {}
    some = ranking.asked(splits)
    if ranking.rated(splits):
        mean = np.full(len(splits.test), splits.train.targets.mean(dtype="float64"))
        found["global_mean"] = ranking.answers(splits, mean, some, None)
        found["user_and_item_means"] = ranking.answers(splits, _means(splits), some, None)
    if len(some.names):
        found["popularity"] = ranking.answers(splits, None, some, _popular(splits, some))
    if splits.noise_floor is not None:
        found[FLOOR] = ranking.answers(splits, _noisy(splits, splits.noise_floor), some, None)
    return found


def _noisy(splits: Splits, floor: float) -> np.ndarray:
    """The true ratings with errors that no model can avoid."""
    noise = np.random.default_rng(0).standard_normal(len(splits.test))
    return splits.test.targets + floor * noise / np.sqrt(np.square(noise).mean())


def _means(splits: Splits) -> np.ndarray:
    """Mean, and what is usual for the item, and then for the user; damped; 0 for unknown ones."""
    (known, ratings), (asked, _) = splits.train.numpy(), splits.test.numpy()
    mean = ratings.mean(dtype="float64")
    left, given = ratings - mean, np.full(len(splits.test), mean)
    for kind in ("item", "user"):
        names = vocabulary(known[kind])
        rows = numbered(names, known[kind])
        counts = np.bincount(rows, minlength=len(names) + 1)
        usual = np.bincount(rows, left, len(names) + 1) / (counts + DAMPING)
        left = left - usual[rows]
        given += usual[numbered(names, asked[kind])]
    return given


def _popular(splits: Splits, some: ranking.Asked) -> np.ndarray:
    """The most popular items that each user has not met: places in the catalogue."""
    order = np.argsort(-ranking.popularity_of(splits), kind="stable")
    longest = min(ranking.LENGTHS[-1], len(order))
    lists = np.full((len(some.names), longest), ranking.NONE)
    for row, met in enumerate(_met_by(splits, some.names)):
        first = order[: longest + len(met)]
        left = first[~np.isin(first, met)][:longest]
        lists[row, : len(left)] = left
    return lists


def _met_by(splits: Splits, names: np.ndarray) -> list[np.ndarray]:
    """The places of the items that each user met in training or validation."""
    catalogue = vocabulary(splits.train.numpy().features["item"])
    parts = [part.numpy().features for part in (splits.train, splits.valid)]
    users, items = (
        np.concatenate([numbered(known, part[kind]) for part in parts]) - 1
        for known, kind in ((names, "user"), (catalogue, "item"))
    )
    known = np.flatnonzero((users >= 0) & (items >= 0))
    order = known[np.argsort(users[known], kind="stable")]
    ends = np.cumsum(np.bincount(users[order], minlength=len(names)))
    return np.split(items[order], ends[:-1])


def figures(run: Run, answers: Answers) -> dict[str, Any]:
    """For whom the run answers well, by how much is known of them."""
    return {"activity.png": _activity(run.splits, answers)}


def _activity(splits: Splits, answers: Answers) -> Any:
    from evaluation.style import FIRST, INK, pyplot

    names = vocabulary(splits.test.numpy().features["user"])
    known = numbered(names, splits.train.numpy().features["user"])
    counts = np.bincount(known, minlength=len(names) + 1)[1:]
    groups = np.digitize(counts, EDGES)
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    if answers.given is not None:
        squares = np.square(answers.given.astype("float64") - answers.target)
        _bars(axes[0], groups[answers.users], squares, np.sqrt, FIRST)
        axes[0].set(title="RMSE of the ratings", ylabel="RMSE")
    if answers.lists is not None:
        _bars(axes[1], groups[answers.lists.owners], ranking.ndcg(answers.lists), float, INK)
        axes[1].set(title="NDCG@10 of the lists", ylabel="NDCG@10")
    for axis in axes:
        axis.set_xticks(range(len(GROUPS)), GROUPS)
        axis.set_xlabel("training pairs of the user; above: test pairs, or users")
    return figure


def _bars(axis: Any, groups: np.ndarray, values: np.ndarray, last: Any, color: str) -> None:
    """The mean of the values of each group, with their number above."""
    counts = np.bincount(groups, minlength=len(GROUPS))
    means = np.bincount(groups, values, len(GROUPS)) / np.maximum(counts, 1)
    bars = axis.bar(range(len(GROUPS)), [last(mean) for mean in means], color=color)
    axis.bar_label(bars, [f"{count:,}" if count else "" for count in counts], fontsize=8)
