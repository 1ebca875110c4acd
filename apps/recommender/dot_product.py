"""The network of all recommenders: two pairs of tables whose rows are multiplied."""

from typing import Any

import keras
import numpy as np
from keras import ops

from apps.recommender.factors import Rows


@keras.saving.register_keras_serializable("athanor")
class Products(keras.layers.Layer):
    """From numbers of a user and an item to the rating and the score by which items are ranked.

    Args:
        num_users: known ones; number 0 stands for all others.
        num_items: known ones.
        width: columns of the tables of ratings.
        ranks: columns of the tables of scores.
        lowest: rating below which no answer lies.
        highest: rating above which none lies.

    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        width: int,
        ranks: int,
        lowest: float,
        highest: float,
        **options: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32"} | options)
        self.num_users, self.num_items = num_users, num_items
        self.width, self.ranks = width, ranks
        self.lowest, self.highest = lowest, highest
        shapes = [(count + 1, size) for size in (width, ranks) for count in (num_users, num_items)]
        names = ("users", "items", "tastes", "appeals")
        self.tables = [
            self.add_weight(shape=shape, initializer="zeros", name=name)
            for shape, name in zip(shapes, names, strict=True)
        ]
        self.built = True

    def call(self, numbers: dict[str, Any]) -> Any:
        """{user, item} of int32 [n] -> float32 [n, 2]: rating, score."""
        users, items, tastes, appeals = self.tables
        user, item = numbers["user"], numbers["item"]
        rating = _product(users, user, items, item)
        score = _product(tastes, user, appeals, item)
        return ops.stack([ops.clip(rating, self.lowest, self.highest), score], axis=-1)

    def compute_output_shape(self, shapes: dict[str, tuple]) -> tuple:
        """A rating and a score each."""
        return (*shapes["user"], 2)

    def set_ratings(self, rows: Rows) -> None:
        """Take the rows whose products are ratings."""
        for table, values in zip(self.tables[:2], rows, strict=True):
            table.assign(values)

    def set_scores(self, rows: Rows) -> None:
        """Take the rows whose products are scores."""
        for table, values in zip(self.tables[2:], rows, strict=True):
            table.assign(values)

    def get_config(self) -> dict[str, Any]:
        """Sizes and limits."""
        names = ("num_users", "num_items", "width", "ranks", "lowest", "highest")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _product(left: Any, row: Any, right: Any, column: Any) -> Any:
    return ops.sum(ops.take(left, row, axis=0) * ops.take(right, column, axis=0), axis=-1)


def network(layer: Products) -> keras.Model:
    """The layer as a model of named inputs."""
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in ("user", "item")}
    return keras.Model(inputs, layer(inputs), name="products")


def of(model: keras.Model) -> Products:
    """The layer of a model."""
    return next(layer for layer in model.layers if isinstance(layer, Products))


class RatingError(keras.losses.Loss):
    """Mean squared error of the ratings; the score is not judged."""

    def call(self, target: Any, answer: Any) -> Any:
        """[n], [n, 2] -> [n]."""
        return ops.square(ops.cast(target, answer.dtype) - answer[:, 0])


class ScoreError(keras.losses.Loss):
    """How far the scores of what was met are from 1, squared: the objective of retrieval."""

    def call(self, target: Any, answer: Any) -> Any:  # noqa: ARG002
        """[n], [n, 2] -> [n]."""
        return ops.square(1 - answer[:, 1])


def limits(ratings: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest rating."""
    return float(ratings.min()), float(ratings.max())
