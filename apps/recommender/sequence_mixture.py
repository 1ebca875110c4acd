"""Mix the scores of the network that reads items in order with those of models without order."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp

from apps.recommender import list_ranking
from apps.recommender.factors import Interactions, Tables
from apps.recommender.list_ranking import Ranking
from apps.recommender.sequence_layers import SequenceDotProduct, mixed_rows
from apps.recommender.sequences import LENGTH, Histories, cut_windows, newest_items

USERS_PER_BLOCK = 1024  # whose states are computed at once
NO_NUMBERS, NO_RATINGS = np.empty(0, "int64"), np.empty(0, "float32")


class Mix(NamedTuple):
    """The standard deviation of a user's scores without order, and the weight of the network's."""

    unordered: float
    ordered: float


# The first one is used unless validation pairs clearly prefer another.
MIXES = (Mix(0.7, 1), Mix(0, 1), Mix(0.3, 1), Mix(1.5, 1), Mix(3, 1), Mix(1, 0))


class Losses(NamedTuple):
    """Cross-entropy of the next items over all items: of training and of validation pairs."""

    train: float
    valid: float


class _Targets(NamedTuple):
    """Items to predict: users and items from 0, [n], and the states before them, [n, width]."""

    users: np.ndarray
    items: np.ndarray
    states: np.ndarray


class Mixture:
    """Assigns the tables of a layer from its network and from models without order.

    Args:
        layer: whose encoder is trained.
        pairs: training and validation pairs.
        train: training pairs.
        validation: validation pairs.

    """

    def __init__(
        self,
        layer: SequenceDotProduct,
        pairs: Histories,
        train: Interactions,
        validation: Interactions,
    ) -> None:
        self.layer, self.pairs, self.train = layer, pairs, train
        self.newest = newest_items(pairs, train.num_users)
        self.ranking = list_ranking.ranking_tables(train, validation)
        self._states = tf.function(
            lambda items: layer.encoder(items, training=False),
            input_signature=[tf.TensorSpec([None, LENGTH], tf.int32)],
            autograph=False,
        )
        self._last_states = tf.function(
            layer.encoder.last_states,
            input_signature=[tf.TensorSpec([None, LENGTH], tf.int32)],
            autograph=False,
        )

    def assign(self, mix: Mix = MIXES[0]) -> None:
        """Assign the tables of scores, with the current weights of the network."""
        layer, width = self.layer, self.layer.unordered_width
        users, liked = (
            np.zeros(weights.shape, "float32") for weights in (layer.score_tables[0], layer.liked)
        )
        users[0, :width], liked[:, :width] = self.ranking.users[0], self.ranking.liked
        for start in range(1, len(users), USERS_PER_BLOCK):
            rows = slice(start, start + USERS_PER_BLOCK)
            states = self._last_states(self.newest[start - 1 : rows.stop - 1])
            unordered = self.ranking.users[rows]
            users[rows] = mixed_rows(unordered, states, self.ranking.items[1:], mix)
        layer.mix.assign(mix)
        layer.set_scores(Tables(users, self._item_table(self.ranking)))
        layer.set_liked(liked)

    def _item_table(self, ranking: Ranking) -> np.ndarray:
        """Return the rows of items: those without order, then vectors and biases."""
        encoder = self.layer.encoder
        ordered = np.column_stack([encoder.items.numpy(), encoder.biases.numpy()])
        ordered[0] = 0
        return np.concatenate([ranking.items, ordered], axis=1)

    def choose(self) -> Losses:
        """Choose the mix that ranks validation pairs best, and assign its tables.

        Validation pairs count if their rating is at least the mean. The losses are those of the
        mix before the models without order are fitted to validation pairs too.
        """
        pairs, mean = self.pairs, self.train.ratings.mean(dtype="float64") - 1e-6
        valid = self._targets(pairs.reweighted(pairs.is_validation & (pairs.ratings >= mean)))
        no_pairs = self.train._replace(users=NO_NUMBERS, items=NO_NUMBERS, ratings=NO_RATINGS)
        ranking = list_ranking.ranking_tables(self.train, no_pairs)
        gains = [self._gains(ranking, valid, mix) for mix in MIXES]
        mix = MIXES[list_ranking.clearly_best(gains)]
        training = pairs.training()
        last = self._targets(training.reweighted(np.diff(training.users, append=-1) != 0))
        self.assign(mix)
        return Losses(*(self._loss(ranking, targets, mix) for targets in (last, valid)))

    def _targets(self, pairs: Histories) -> _Targets:
        """Return the items to predict that have a weight; the first ones of very many."""
        windows = cut_windows(pairs).with_targets()
        count = list_ranking.MAX_SCORES // self.train.num_items
        rows, columns = (
            places[: min(count, list_ranking.MAX_VALIDATION_PAIRS)]
            for places in np.nonzero(windows.weights)
        )
        states = self._states(windows.inputs[: rows.max() + 1]).numpy()[rows, columns]
        return _Targets(windows.users[rows], windows.targets[rows, columns], states)

    def _rows(self, ranking: Ranking, targets: _Targets, mix: Mix) -> Any:
        unordered = ranking.users[targets.users + 1]
        return np.asarray(mixed_rows(unordered, targets.states, ranking.items[1:], mix))

    def _gains(self, ranking: Ranking, targets: _Targets, mix: Mix) -> np.ndarray:
        """Return 1 / log2(1 + rank) of each target; each has a row of a user of its own."""
        rows = self._rows(ranking, targets, mix)
        tables = Tables(np.pad(rows, ((1, 0), (0, 0))), self._item_table(ranking))
        matrix = self.train.matrix(np.ones(len(self.train.users), "float32"))
        seen, shape = matrix[targets.users].tocoo(), (len(rows), self.train.num_items)
        return list_ranking.pair_gains(
            tables,
            Interactions(seen.row, seen.col, seen.data, *shape),
            Interactions(np.arange(len(rows)), targets.items, np.ones(len(rows)), *shape),
        )

    def _loss(self, ranking: Ranking, targets: _Targets, mix: Mix) -> float:
        scores = self._rows(ranking, targets, mix) @ self._item_table(ranking)[1:].T
        true = scores[np.arange(len(scores)), targets.items]
        return float(np.mean(logsumexp(scores, axis=1) - true))
