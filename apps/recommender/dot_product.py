"""The network of all recommenders: dot products of rows of user and item tables."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from apps.recommender.content import ContentRows
from apps.recommender.factors import Tables
from apps.recommender.rating_spread import NUM_SPREAD_COLUMNS

NO_CONTENTS: Mapping[str, ContentRows] = MappingProxyType({})


@keras.saving.register_keras_serializable("athanor")
class FactorDotProduct(keras.layers.Layer):
    """Predicts a rating, and the score by which items are ranked, from user and item numbers.

    Args:
        num_users: known users; number 0 stands for all others.
        num_items: known items; number 0 stands for all others.
        rating_width: columns of the tables of ratings.
        score_width: columns of the tables of scores.
        lowest: ratings are clipped to at least this.
        highest: ratings are clipped to at most this.
        contents: by side, user or item, what predicts the rows of new ones from their columns.
        has_spread: whether the standard deviation of the ratings is an output, too.

    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        rating_width: int,
        score_width: int,
        lowest: float,
        highest: float,
        contents: Mapping[str, ContentRows] = NO_CONTENTS,
        has_spread: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32"} | options)
        self.contents = dict(contents)
        self.num_users, self.num_items = num_users, num_items
        self.rating_width, self.score_width = rating_width, score_width
        self.lowest, self.highest, self.has_spread = lowest, highest, has_spread
        self.rating_tables = self._add_tables("rating", rating_width)
        self.score_tables = self._add_tables("score", score_width)
        # The sum of the rows of some items is the row of a user who likes them.
        self.liked = self.add_weight(
            shape=(num_items + 1, score_width), initializer="zeros", name="score_liked"
        )
        self.spread_tables = self._add_tables("spread", NUM_SPREAD_COLUMNS) if has_spread else []
        self.built = True

    def _add_tables(self, name: str, width: int) -> list[Any]:
        sizes = {"users": self.num_users, "items": self.num_items}
        return [
            self.add_weight(shape=(size + 1, width), initializer="zeros", name=f"{name}_{side}")
            for side, size in sizes.items()
        ]

    def call(self, numbers: dict[str, Any]) -> Any:
        """{user, item} of int32 [n] -> float32 [n, 2 or 3]: rating, score, deviation of ratings."""
        rating = _dot_product(self.rating_tables, numbers)
        score = _dot_product(self.score_tables, numbers)
        outputs = [ops.clip(rating, self.lowest, self.highest), score]
        if self.has_spread:
            outputs.append(ops.sqrt(ops.maximum(_dot_product(self.spread_tables, numbers), 0.0)))
        return ops.stack(outputs, axis=-1)

    def list_scores(self, users: Any, items: Any) -> Any:
        """Numbers of users [n] and items [m] -> the score of every pair, float32 [n, m].

        It takes far less memory than a call with all pairs.
        """
        return self._scores(self.user_rows(users), items)

    def list_scores_of_liked(self, liked: Any, items: Any) -> Any:
        """Numbers of liked items [n, l] and of items [m] -> float32 [n, m].

        A row is the list of a user who need not be known; 0 fills shorter lists. Users without a
        known item get popularity, and so do all in runs of versions without `liked`. Only the order
        of the scores has a meaning.
        """
        rows = ops.sum(ops.take(self.liked, liked, axis=0), axis=1)
        is_known = ops.any(ops.not_equal(rows, 0), axis=1, keepdims=True)
        return self._scores(ops.where(is_known, rows, self.score_tables[0][:1]), items)

    def _scores(self, rows: Any, items: Any) -> Any:
        return ops.matmul(rows, ops.transpose(self.item_rows(items)))

    def user_rows(self, users: Any) -> Any:
        """Numbers of users [n] -> float32 [n, width]; scores are products with rows of items."""
        return ops.take(self.score_tables[0], users, axis=0)

    def item_rows(self, items: Any) -> Any:
        """Numbers of items [m] -> float32 [m, width]."""
        return ops.take(self.score_tables[1], items, axis=0)

    def load_own_variables(self, store: Any) -> None:
        """Load the weights of a file; files of older versions have no `liked`."""
        for index, variable in enumerate(self.weights):
            if str(index) in store:
                variable.assign(store[str(index)])

    def compute_output_shape(self, shapes: dict[str, tuple]) -> tuple:
        """Return the number of outputs of each pair."""
        return (*shapes["user"], 3 if self.has_spread else 2)

    def set_ratings(self, tables: Tables) -> None:
        """Assign the tables whose dot products are ratings."""
        for weight, values in zip(self.rating_tables, tables, strict=True):
            weight.assign(values)

    def set_spread(self, tables: Tables) -> None:
        """Assign the tables whose dot products are variances of ratings."""
        for weight, values in zip(self.spread_tables, tables, strict=True):
            # New users and items, after those of the tables, count as unknown.
            new = np.repeat(values[:1], weight.shape[0] - len(values), axis=0)
            weight.assign(np.concatenate([values, new]))

    def set_scores(self, tables: Tables) -> None:
        """Assign the tables whose dot products are scores."""
        for weight, values in zip(self.score_tables, tables, strict=True):
            weight.assign(values)

    def set_liked(self, table: np.ndarray) -> None:
        """Assign the table whose rows add up to the row of a user who likes some items."""
        self.liked.assign(table)

    def with_items(self, columns: Mapping[str, np.ndarray]) -> "FactorDotProduct":
        """Return a layer that knows further items by their packed columns [n]."""
        rows = self.contents["item"].rows_of(columns)
        bounds = [self.rating_width, self.rating_width + self.score_width]
        rating, score, liked = np.split(rows, bounds, axis=1)
        config = self.get_config() | {"num_items": self.num_items + len(rows)}
        larger = type(self).from_config(config)
        for side, content in self.contents.items():
            larger.contents[side].set_weights(content.get_weights())
        larger.set_ratings(_with_items(self.rating_tables, rating))
        larger.set_scores(_with_items(self.score_tables, score))
        larger.set_liked(np.concatenate([self.liked.numpy(), liked]))
        if self.has_spread:
            larger.set_spread(Tables(*(np.asarray(table) for table in self.spread_tables)))
        return larger

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        names = ["num_users", "num_items", "rating_width", "score_width", "lowest", "highest"]
        names.append("has_spread")
        stored = {
            side: keras.saving.serialize_keras_object(rows) for side, rows in self.contents.items()
        }
        own = {name: getattr(self, name) for name in names}
        return super().get_config() | own | ({"contents": stored} if stored else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FactorDotProduct":
        """Make the layer of a configuration; most have no contents."""
        stored = config.get("contents", {})
        contents = {
            side: keras.saving.deserialize_keras_object(rows) for side, rows in stored.items()
        }
        return cls(**config | {"contents": contents})


def _dot_product(tables: list[Any], numbers: dict[str, Any]) -> Any:
    users, items = (
        ops.take(table, numbers[name], axis=0)
        for table, name in zip(tables, ("user", "item"), strict=True)
    )
    return ops.sum(users * items, axis=-1)


def _with_items(tables: list[Any], rows: np.ndarray) -> Tables:
    users, items = (np.asarray(table) for table in tables)
    return Tables(users, np.concatenate([items, rows]))


def make_network(layer: FactorDotProduct) -> keras.Model:
    """Return the layer as a model of named inputs."""
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in ("user", "item")}
    return keras.Model(inputs, layer(inputs), name="dot_product")


def layer_of(model: keras.Model) -> FactorDotProduct:
    """Return the layer of a model that `make_network` made."""
    return next(layer for layer in model.layers if isinstance(layer, FactorDotProduct))


class RatingError(keras.losses.Loss):
    """Mean squared error of the ratings; the scores do not count."""

    def call(self, target: Any, predicted: Any) -> Any:
        """[n], [n, outputs] -> [n]."""
        return ops.square(ops.cast(target, predicted.dtype) - predicted[:, 0])


class ScoreError(keras.losses.Loss):
    """Squared difference from 1 of the scores of interactions: the objective of retrieval."""

    def call(self, target: Any, predicted: Any) -> Any:  # noqa: ARG002
        """[n], [n, outputs] -> [n]."""
        return ops.square(1 - predicted[:, 1])


def rating_limits(ratings: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest rating."""
    return float(ratings.min()), float(ratings.max())
