"""The items of each user in the order of time, and windows of them for training."""

from typing import Any, NamedTuple

import numpy as np

from apps.recommender.factors import Interactions
from apps.recommender.list_ranking import interaction_weights
from pipelines.examples import DataError, Examples
from pipelines.ids import reading
from pipelines.ids.columns import Columns
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.ids.repeated_pairs import Repeats
from pipelines.ids.splitting import Split
from pipelines.inspection import Inspection
from pipelines.splits import Splits
from pipelines.tables.table import Tables

LENGTH = 50  # items that the network reads of a user, the newest ones
MIN_WEIGHT = 0.01  # of a pair of the lowest rating, so that some validation pair always counts
MAX_ITEMS = 50_000  # the network scores all items after each position


class Histories(NamedTuple):
    """Pairs of all users, sorted by user and then by time; validation pairs come last.

    Attributes:
        users: numbers from 0, [pairs].
        items: numbers from 0, [pairs].
        ratings: float32 [pairs].
        weights: how much each pair counts as an item to predict, [pairs].
        is_validation: [pairs].

    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    weights: np.ndarray
    is_validation: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """The position of each pair among those of its user, from 0."""
        return np.arange(len(self.users)) - np.searchsorted(self.users, self.users)

    def training(self) -> "Histories":
        """Return the training pairs alone."""
        return Histories(*(column[~self.is_validation] for column in self))

    def reweighted(self, weights: np.ndarray) -> "Histories":
        """Return the same pairs with other weights."""
        return self._replace(weights=weights.astype("float32"))


class Windows(NamedTuple):
    """Parts of histories: the network reads `inputs` and predicts the item after each of them.

    Attributes:
        inputs: numbers of items from 1, and 0 after the last one, [windows, length].
        targets: the next item, numbers from 0, [windows, length].
        weights: how much each target counts; 0 where there is none, [windows, length].
        users: the user of each window, numbers from 0, [windows].

    """

    inputs: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    users: np.ndarray

    def with_targets(self) -> "Windows":
        """Return the windows in which at least one target counts."""
        rows = self.weights.any(1)
        return Windows(*(column[rows] for column in self))


def ordered_splits(
    tables: Tables,
    columns: Columns,
    split: Split,
    inspection: Inspection | None = None,
    repeats: Repeats = "last",
) -> Splits:
    """Read and split interactions whose order is known; arguments as in `pipelines.ids.reading`.

    The validation pairs of a user are newer than the training pairs. Raises DataError.
    """
    if split == "auto" and tables.test is not None:
        split = "user_time"  # of an official test set `auto` draws validation at random
    splits = reading.splits(tables, columns, split, inspection, repeats)
    require_sequences(splits)
    return splits


def require_sequences(splits: Splits) -> None:
    """Raise DataError if the data cannot train the network."""
    received = "Received --model sequence for data"
    times = splits.train.times
    if times is None or len(np.unique(times[splits.train.rows])) == 1:
        state = "without times" if times is None else "with the same time in all pairs"
        raise DataError(
            f"{received} {state}; expected the time of each pair, because the model learns from "
            "the order of a user's items. Name the column of times with --time COLUMN, or choose "
            "another --model."
        )
    train, valid = (part.numpy().features for part in (splits.train, splits.valid))
    users, items = (distinct_ids(train[kind]) for kind in ("user", "item"))
    if len(items) > MAX_ITEMS:
        raise DataError(
            f"{received} of {len(items):,} items; expected at most {MAX_ITEMS:,}, because each "
            "step scores all of them. Choose --model retrieval."
        )
    known = number_ids(users, valid["user"]) * number_ids(items, valid["item"]) > 0
    if len(users) == len(splits.train) or not known.any():
        raise DataError(
            f"{received} in which no user has several training pairs and a validation pair; "
            "expected some, so that there are items to predict. Take --split user_time, or choose "
            "another --model."
        )


def histories(train: Examples, valid: Examples, ids: Any) -> Histories:
    """Sort the pairs of known users and items by user and time.

    Pairs of the same time keep the order of the table.
    """
    parts = [_numbered(part, ids) for part in (train, valid)]
    users, items, ratings, times = map(np.concatenate, zip(*parts, strict=True))
    is_validation = np.repeat([False, True], [len(part[0]) for part in parts])
    order = np.lexsort((times, is_validation, users))
    pairs = Interactions(users, items, ratings, len(ids.users), len(ids.items))
    weights = np.asarray(interaction_weights(pairs)[users, items], "float32").ravel()
    weights = np.maximum(weights, MIN_WEIGHT)
    columns = (users, items, ratings, weights, is_validation)
    return Histories(*(column[order] for column in columns))


def _numbered(examples: Examples, ids: Any) -> tuple[np.ndarray, ...]:
    """Return users and items from 0, ratings and times, of pairs whose ids are known."""
    features, ratings = examples.numpy()
    users, items = (ids(features)[name].numpy() - 1 for name in ("user", "item"))
    known = (users >= 0) & (items >= 0)
    times = np.arange(len(users)) if examples.times is None else examples.times[examples.rows]
    return users[known], items[known], ratings[known], times[known]


def cut_windows(found: Histories, length: int = LENGTH) -> Windows:
    """Cut histories into windows, from the newest item backwards; each item is a target once."""
    later = np.flatnonzero(found.positions > 0)  # the first item of a user is no target
    users, index = found.users[later], found.positions[later] - 1
    num_targets = np.bincount(found.users, minlength=1)[users] - 1
    surplus = -num_targets % length
    starts = np.maximum((index + surplus) // length * length - surplus, 0)
    columns = index - starts
    rows = np.cumsum(columns == 0) - 1
    count = int((columns == 0).sum())
    inputs, targets = np.zeros((2, count, length), "int32")
    weights = np.zeros((count, length), "float32")
    inputs[rows, columns] = found.items[later - 1] + 1
    targets[rows, columns] = found.items[later]
    weights[rows, columns] = found.weights[later]
    return Windows(inputs, targets, weights, users[columns == 0])


def newest_items(found: Histories, num_users: int, length: int = LENGTH) -> np.ndarray:
    """Return the newest items of each user, the newest last: numbers from 1, then 0.

    The shape is [users, length].
    """
    counts = np.bincount(found.users, minlength=num_users)[found.users]
    columns = found.positions - np.maximum(counts - length, 0)
    kept = columns >= 0
    table = np.zeros((num_users, length), "int32")
    table[found.users[kept], columns[kept]] = found.items[kept] + 1
    return table
