"""The test users to whom items are recommended, and the items that are relevant to them."""

from typing import NamedTuple

import numpy as np

from pipelines.ids.contents import known_ids, trained_ids
from pipelines.ids.numbering import distinct_ids, number_ids
from pipelines.ids.splitting import NewIds
from pipelines.splits import Splits

MAX_RANKED_USERS = 5000
NO_ITEM = -1  # fills the list of a user with nearly all items in the training pairs


class RankedUsers(NamedTuple):
    """Test users with relevant test items, to whom items are recommended.

    A test item is relevant if its rating is at least the mean of the training ratings;
    without ratings every test item is.

    Attributes:
        names: user ids, [n].
        positions: position of each user among the distinct test users, [n].
        relevant_pairs: a number for each relevant (user, item) pair whose item is in the
            catalogue: row of the user times size of the catalogue, plus index of the item.
        num_relevant: number of relevant test items of each user, [n]; it includes items outside
            the catalogue, which no list can contain.
        catalogue: the known items: those of training pairs, then those that are known by their
            content alone.
        candidates: which of them may be recommended, [catalogue]: all, unless the split tests new
            items.

    """

    names: np.ndarray
    positions: np.ndarray
    relevant_pairs: np.ndarray
    num_relevant: np.ndarray
    catalogue: np.ndarray
    candidates: np.ndarray

    @property
    def catalogue_size(self) -> int:
        """Number of known items."""
        return len(self.catalogue)

    def hits(self, indices: np.ndarray) -> np.ndarray:
        """Whether each recommended item [n, k] is relevant."""
        rows = np.arange(len(indices))[:, None]
        pairs = rows * self.catalogue_size + indices
        return (indices != NO_ITEM) & np.isin(pairs, self.relevant_pairs)


def ranked_users(splits: Splits, seed: int = 0) -> RankedUsers:
    """Choose the test users to whom items are recommended: all, or MAX_RANKED_USERS at random."""
    test = splits.test.numpy()
    items = known_ids(splits, "item")
    candidates = np.ones(len(items), bool)
    if splits.scheme == NewIds("item"):
        candidates[: len(trained_ids(splits, "item"))] = False
    names = distinct_ids(test.features["user"])
    users = number_ids(names, test.features["user"]) - 1
    is_relevant = test.target >= splits.train.targets.mean(dtype="float64") - 1e-6
    counts = np.bincount(users[is_relevant], minlength=len(names))
    positions = np.flatnonzero(counts)
    if len(positions) > MAX_RANKED_USERS:
        random = np.random.default_rng(seed)
        positions = np.sort(random.choice(positions, MAX_RANKED_USERS, replace=False))
    row_of_user = np.full(len(names), -1)
    row_of_user[positions] = np.arange(len(positions))
    indices = number_ids(items, test.features["item"]) - 1
    known = is_relevant & (indices >= 0) & (row_of_user[users] >= 0)
    relevant_pairs = row_of_user[users[known]] * len(items) + indices[known]
    return RankedUsers(
        names[positions], positions, relevant_pairs, counts[positions], items, candidates
    )


def item_popularity(splits: Splits) -> np.ndarray:
    """Count the training pairs of each item of the catalogue."""
    known, items = known_ids(splits, "item"), splits.train.numpy().features["item"]
    return np.bincount(number_ids(known, items) - 1, minlength=len(known)).astype("float64")
