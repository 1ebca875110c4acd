"""The layer that turns ids into numbers, and holds what a list of recommendations needs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.ids.reading import encoded, numbered, vocabulary
from pipelines.splits import Splits


@keras.saving.register_keras_serializable("athanor")
class Ids(keras.layers.Layer):
    """Ids of users and items become numbers from 1; unknown ids become 0.

    It also holds what a list of recommendations needs: the items that can be
    recommended, all unless `offer` names others, and what each user has met already,
    in test pairs too. A judge leaves these out: the lists that it judges may hold them.

    Args:
        users: distinct ids, UTF-8.
        items: distinct ids, UTF-8.
        num_met: pairs of a known user and a known item.

    """

    def __init__(self, users: list[str], items: list[str], num_met: int, **options: Any) -> None:
        super().__init__(**options)
        self.users, self.items, self.num_met = users, items, num_met
        self.offered, self._places = items, None
        self.user_numbers, self.item_numbers = _table(users), _table(items)
        # A user's items are met[starts[user] : starts[user + 1]], numbers from 1.
        self.starts = self._stored("starts", len(users) + 2)
        self.met = self._stored("met", num_met)
        self.in_test = self._stored("in_test", num_met)  # 1 for a pair of test alone
        self.built = True

    @classmethod
    def adapted(cls, splits: Splits) -> "Ids":
        """Ids known to the training pairs; what was met in all pairs."""
        parts = [part.numpy().features for part in (splits.train, splits.valid, splits.test)]
        users, items = vocabulary(parts[0]["user"]), vocabulary(parts[0]["item"])
        who = np.concatenate([numbered(users, part["user"]) for part in parts])
        what = np.concatenate([numbered(items, part["item"]) for part in parts])
        in_test = np.arange(len(who)) >= len(who) - len(splits.test)
        known = np.flatnonzero((who > 0) & (what > 0))
        order = known[np.lexsort((what[known], who[known]))]
        layer = cls(_texts(users), _texts(items), len(order), name="ids")
        layer.starts.assign(np.searchsorted(who[order], np.arange(len(users) + 2)))
        layer.met.assign(what[order])
        layer.in_test.assign(in_test[order].astype("int32"))
        return layer

    def _stored(self, name: str, count: int) -> Any:
        return self.add_weight(
            shape=(count,), dtype="int32", trainable=False, initializer="zeros", name=name
        )

    def load_own_variables(self, store: Any) -> None:
        """Read the numbers of a file; one from before `in_test` holds no pairs of test."""
        for place, variable in enumerate((self.starts, self.met, self.in_test)):
            if str(place) in store:
                variable.assign(store[str(place)])

    def call(self, raw: dict[str, Any]) -> dict[str, Any]:
        """{user, item} of strings [n] -> {user, item} of int32 [n]."""
        return {
            "user": self.user_numbers.lookup(raw["user"]),
            "item": self.item_numbers.lookup(raw["item"]),
        }

    def offer(self, items: list[str]) -> None:
        """From now on recommend these alone, all of them known ones."""
        place = {name: number for number, name in enumerate(items)}
        self.offered = items
        self._places = tf.constant([place.get(name, -1) for name in self.items], "int32")

    def met_by(self, users: Any, *, in_test: bool) -> Any:
        """Index pairs int32 [m, 2]: position among `users` (string [n]), place among `offered`.

        What a user met in test pairs alone is among them where `in_test` says so.
        """
        numbers = self.user_numbers.lookup(users)
        first = tf.gather(self.starts.value, numbers)
        counts = tf.gather(self.starts.value, numbers + 1) - first
        places = tf.ragged.range(first, first + counts)
        rows = tf.cast(places.value_rowids(), "int32")
        met = tf.gather(self.met.value, places.values) - 1
        if self._places is not None:
            met = tf.gather(self._places, met)
        counted = met >= 0
        if not in_test:
            counted &= tf.gather(self.in_test.value, places.values) == 0
        return tf.boolean_mask(tf.stack([rows, met], 1), counted)

    def compute_output_spec(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Numbers of the same shape."""
        return {name: keras.KerasTensor(ids.shape, "int32") for name, ids in raw.items()}

    def get_config(self) -> dict[str, Any]:
        """The ids, and how many pairs are stored beside them."""
        own = {"users": self.users, "items": self.items, "num_met": self.num_met}
        return super().get_config() | own


def _table(ids: list[str]) -> Any:
    known = tf.constant([encoded(name) for name in ids], "string", [len(ids)])
    numbers = tf.range(1, len(ids) + 1, dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(known, numbers), 0)


def _texts(ids: np.ndarray) -> list[str]:
    # Bytes that are no UTF-8 survive the way through JSON.
    return [name.decode("utf-8", "surrogateescape") for name in ids]
