"""Judging answers that are ratings of pairs, and lists of what to recommend."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.metrics import metric
from evaluation.intervals import (
    Interval,
    Resampled,
    draws,
    of_mean,
    of_sums,
    recentred,
    resampled_sums,
)
from inference.modalities import item_scores
from inference.model_outputs import ask
from pipelines.ids.reading import numbered, vocabulary
from pipelines.splits import Splits
from training.run import Run

K = 10
LENGTHS = (1, 5, 10, 20, 50)
MOST_USERS = 5000  # with a list each
CELLS = 200_000  # pairs of a user and an item in one question
NONE = -1  # in place of an item, where a user has met all others


class Lists(NamedTuple):
    """What was recommended to test users of whom something relevant is known.

    Attributes:
        owners: numbers of the users among the test users, [n].
        hits: whether a recommended item was relevant, [n, longest].
        relevant: how many items of the test were, [n].
        places: of the recommended items in the catalogue, [n, longest]; NONE where no item is left.
        popularity: the number of training pairs of each item of the catalogue.
        usual: the mean popularity of the items of the training pairs.

    """

    owners: np.ndarray
    hits: np.ndarray
    relevant: np.ndarray
    places: np.ndarray
    popularity: np.ndarray
    usual: float


class Answers(NamedTuple):
    """Ratings given and true, [n], by users of these numbers, [n]; and lists.

    `given` is None where nothing is rated, or for a baseline that only ranks;
    `lists` is None for one that only rates.
    """

    given: np.ndarray | None
    target: np.ndarray
    users: np.ndarray
    lists: Lists | None


class Asked(NamedTuple):
    """Test users with something relevant, and what they are asked about.

    Relevant are the test items that a user rated at least as high as the mean of
    the training ratings; without ratings all are.
    """

    names: np.ndarray
    owners: np.ndarray
    relevant: np.ndarray  # numbers of pairs: the row of a user times the catalogue, plus a place
    counts: np.ndarray
    catalogue: int

    def hits(self, places: np.ndarray) -> np.ndarray:
        """Whether each recommended item [n, k] is relevant."""
        rows = np.arange(len(places))[:, None]
        return (places != NONE) & np.isin(rows * self.catalogue + places, self.relevant)


def answers_of(run: Run) -> Answers:
    """The run's ratings of the test pairs, and its lists for their users."""
    splits = run.splits
    given = ask(run.model, splits.test)[:, 0] if rated(splits) else None
    some = asked(splits)
    longest = LENGTHS[-1]
    model = run.model

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def best(users: Any) -> Any:
        found = item_scores.best(
            model, users, tf.constant(longest), tf.constant(True), in_test=False
        )
        return tf.where(tf.math.is_inf(found.scores), NONE, found.places)

    step = max(1, CELLS // some.catalogue)
    starts = range(0, len(some.names), step)
    places = [best(tf.constant(some.names[start : start + step])).numpy() for start in starts]
    return answers(splits, given, some, np.concatenate(places) if places else None)


def given(splits: Splits, outputs: dict[str, np.ndarray]) -> Answers:
    """Somebody else's ratings of the test pairs, by the names of an export; no lists."""
    ratings = outputs["rating"] if rated(splits) else None
    return Answers(ratings, splits.test.targets, _test_users(splits), None)


def answers(
    splits: Splits, given: np.ndarray | None, some: Asked, places: np.ndarray | None
) -> Answers:
    """Given ratings and places in the catalogue beside the truth."""
    lists = None
    if places is not None:
        popularity = popularity_of(splits)
        lists = Lists(
            some.owners,
            some.hits(places),
            some.counts,
            places,
            popularity,
            float(np.square(popularity).sum() / popularity.sum()),
        )
    return Answers(given, splits.test.targets, _test_users(splits), lists)


def _test_users(splits: Splits) -> np.ndarray:
    """The number among the test users of each test pair's, from 0."""
    users = splits.test.numpy().features["user"]
    return numbered(vocabulary(users), users) - 1


def rated(splits: Splits) -> bool:
    """Whether there are ratings, or only what was met."""
    return bool(np.ptp(splits.train.targets))


def popularity_of(splits: Splits) -> np.ndarray:
    """The number of training pairs of each item of the catalogue."""
    items = splits.train.numpy().features["item"]
    return np.bincount(numbered(vocabulary(items), items) - 1).astype("float64")


def asked(splits: Splits, seed: int = 0) -> Asked:
    """The users to whom items are recommended: all, or `MOST_USERS` by chance."""
    test = splits.test.numpy()
    items = vocabulary(splits.train.numpy().features["item"])
    names = vocabulary(test.features["user"])
    users = numbered(names, test.features["user"]) - 1
    liked = test.target >= splits.train.targets.mean(dtype="float64") - 1e-6
    counts = np.bincount(users[liked], minlength=len(names))
    owners = np.flatnonzero(counts)
    if len(owners) > MOST_USERS:
        owners = np.sort(np.random.default_rng(seed).choice(owners, MOST_USERS, replace=False))
    rows = np.full(len(names), -1)
    rows[owners] = np.arange(len(owners))
    places = numbered(items, test.features["item"]) - 1
    known = liked & (places >= 0) & (rows[users] >= 0)
    relevant = rows[users[known]] * len(items) + places[known]
    return Asked(names[owners], owners, relevant, counts[owners], len(items))


def recall(lists: Lists, k: int = K) -> np.ndarray:
    """Of each user, the share of the relevant items that are among the first k."""
    return lists.hits[:, :k].sum(1) / lists.relevant


def ndcg(lists: Lists, k: int = K) -> np.ndarray:
    """Of each user, the normalised discounted cumulative gain (Jarvelin and Kekalainen, 2002)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0], np.cumsum(discounts)])
    hits = lists.hits[:, :k]
    return (hits * discounts[: hits.shape[1]]).sum(1) / best[np.minimum(lists.relevant, k)]


def coverage(lists: Lists, k: int = K, rows: Any = slice(None)) -> float:
    """The share of the catalogue that is among the first k of somebody's list."""
    places = np.unique(lists.places[rows, :k])
    return np.count_nonzero(places != NONE) / len(lists.popularity)


def metrics(answers: Answers) -> dict[str, float]:
    """RMSE and MAE of the ratings; Recall@10, NDCG@10 and coverage of lists of all items."""
    found: dict[str, Any] = {}
    if answers.given is not None:
        found |= _of_sums(_columns(answers, answers.given).sum(0))
    if (lists := answers.lists) is not None:
        found |= {name: values.mean() for name, values in _of_users(lists).items()}
        found["coverage"] = coverage(lists)
    return {name: float(value) for name, value in found.items()}


def resampled(answers: Answers, seed: int = 0) -> Resampled:
    """Each metric of every bootstrap resample of whole users."""
    found: dict[str, np.ndarray] = {}
    if answers.given is not None:
        found |= _of_sums(resampled_sums(_columns(answers, answers.given), seed))
    if (lists := answers.lists) is not None:
        values = _of_users(lists)
        drawn: dict[str, list[float]] = {name: [] for name in [*values, "coverage"]}
        for rows in draws(len(lists.owners), seed):
            for name, column in values.items():
                drawn[name].append(column[rows].mean())
            drawn["coverage"].append(coverage(lists, rows=np.unique(rows)))
        found |= {name: np.array(column) for name, column in drawn.items()}
    return found


def intervals(answers: Answers, drawn: Resampled | None = None) -> dict[str, Interval]:
    """95 % intervals over users: BCa, or Wilson's of hits; of coverage recentred percentiles.

    `drawn` is what `resampled` gives; without it the answers are resampled here.
    """
    drawn = resampled(answers) if drawn is None else drawn
    found: dict[str, Interval] = {}
    if answers.given is not None:
        found |= of_sums(_columns(answers, answers.given), _of_sums, drawn)
    if (lists := answers.lists) is not None:
        for name, values in _of_users(lists).items():
            found[name] = of_mean(values, drawn[name], metric(name))
        found["coverage"] = recentred(coverage(lists), drawn["coverage"], metric("coverage"))
    return found


def _of_users(lists: Lists) -> dict[str, np.ndarray]:
    """What the metrics of the lists are means of, [users]."""
    return {"recall_at_10": recall(lists), "ndcg_at_10": ndcg(lists)}


def _columns(answers: Answers, given: np.ndarray) -> np.ndarray:
    """What the metrics of the ratings are functions of the sums of, [users, 3]."""
    error = given.astype("float64") - answers.target
    weights = (None, np.square(error), np.abs(error))
    columns = np.stack([np.bincount(answers.users, one) for one in weights], axis=1)
    return columns[columns[:, 0] > 0].astype("float64")


def _of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    pairs, squared, absolute = np.moveaxis(sums, -1, 0)
    return {"rmse": np.sqrt(squared / pairs), "mae": absolute / pairs}


def details(answers: Answers, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """Lists of several lengths.

    Popularity bias is the mean popularity of the recommended items over that of
    what people met in training: 1 is as usual, more is more of the same.
    """
    if (lists := answers.lists) is None:
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
            for k in LENGTHS
            if k <= lists.places.shape[1]
        ]
    }


def _popularity_bias(lists: Lists, k: int) -> float:
    places = lists.places[:, :k]
    known = lists.popularity[places[places != NONE]]
    return float(known.mean() / lists.usual) if len(known) else 0.0


def figures(answers: Answers, splits: Splits, target: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Given against true ratings; where in the catalogue the recommended items come from."""
    from evaluation.tasks import ranking_pictures

    drawn = {}
    if answers.given is not None:
        drawn["ratings.png"] = ranking_pictures.ratings(answers.given, answers.target)
    if (lists := answers.lists) is not None:
        share = coverage(lists)
        drawn["popularity.png"] = ranking_pictures.popularity(
            lists.popularity, lists.places[:, :K], share
        )
    return drawn
