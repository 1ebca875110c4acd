"""The preprocessing layer of ids: numbers of users and items, and each user's interactions."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.ids.attributes import NO_ATTRIBUTES, Attributes
from pipelines.ids.contents import SIDES, known_ids, trained_ids
from pipelines.ids.numbering import encode_id, number_ids
from pipelines.rows.packing import Kinds
from pipelines.splits import Splits


@keras.saving.register_keras_serializable("athanor")
class Ids(keras.layers.Layer):
    """Turn ids of users and items into numbers from 1; unknown ids become 0.

    The layer also stores what recommendation lists need: the items that may be recommended (all,
    unless `offer` restricts them), and the items with which each user has interacted, in test
    pairs too. Evaluation ignores the interactions in test, so that lists may hold these items.

    Args:
        users: distinct ids, UTF-8.
        items: distinct ids, UTF-8.
        num_interactions: number of pairs of a known user and a known item.
        trained: number of users, and of items, of the training pairs: the first ones; the others
            are known by their content alone. None: all.
        attributes: of items, as `Attributes.to_json` writes them. None: there are none.

    """

    def __init__(
        self,
        users: list[str],
        items: list[str],
        num_interactions: int,
        trained: Sequence[int] | None = None,
        attributes: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.attributes = Attributes.from_json(attributes) if attributes else NO_ATTRIBUTES
        self.users, self.items, self.num_interactions = users, items, num_interactions
        self.trained = (len(users), len(items)) if trained is None else tuple(trained)
        self.offered, self._offered_indices = items, None
        self.user_numbers, self.item_numbers = _table(users), _table(items)
        # A user's items are interactions[starts[user] : starts[user + 1]], numbers from 1.
        self.starts = self._add_stored("starts", len(users) + 2)
        self.interactions = self._add_stored("met", num_interactions)
        self.in_test = self._add_stored("in_test", num_interactions)  # 1 for a test pair
        # TensorFlow has no empty tables.
        names = self.attributes.texts
        self.attribute_numbers: Any = _table(names) if names else None
        self.attribute_pairs = self._add_stored("attributes", *self.attributes.pairs.shape)
        self.built = True

    @classmethod
    def adapted(cls, splits: Splits) -> "Ids":
        """Make the layer of the ids of the training pairs and the interactions of all pairs."""
        parts = [part.numpy().features for part in (splits.train, splits.valid, splits.test)]
        users, items = (known_ids(splits, side) for side in SIDES)
        trained = [len(trained_ids(splits, side)) for side in SIDES]
        users_of_pairs = np.concatenate([number_ids(users, part["user"]) for part in parts])
        items_of_pairs = np.concatenate([number_ids(items, part["item"]) for part in parts])
        in_test = np.arange(len(users_of_pairs)) >= len(users_of_pairs) - len(splits.test)
        known = np.flatnonzero((users_of_pairs > 0) & (items_of_pairs > 0))
        order = known[np.lexsort((items_of_pairs[known], users_of_pairs[known]))]
        content = splits.contents.get("item")
        attributes = Attributes.of(content, number_ids(items, content.ids)) if content else None
        layer = cls(
            _texts(users),
            _texts(items),
            len(order),
            trained,
            attributes and attributes.to_json(),
            name="ids",
        )
        if attributes:
            layer.attribute_pairs.assign(attributes.pairs)
        layer.starts.assign(np.searchsorted(users_of_pairs[order], np.arange(len(users) + 2)))
        layer.interactions.assign(items_of_pairs[order])
        layer.in_test.assign(in_test[order].astype("int32"))
        return layer

    def _add_stored(self, name: str, *shape: int) -> Any:
        return self.add_weight(
            shape=shape, dtype="int32", trainable=False, initializer="zeros", name=name
        )

    def load_own_variables(self, store: Any) -> None:
        """Load the weights of a file; older files have no `in_test` and no attributes."""
        for index, variable in enumerate(self.weights):
            if str(index) in store:
                variable.assign(store[str(index)])

    def call(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Turn {user, item} of strings [n] into {user, item} of int32 [n]."""
        return {
            "user": self.user_numbers.lookup(raw["user"]),
            "item": self.item_numbers.lookup(raw["item"]),
        }

    def with_items(
        self, items: Sequence[str], columns: Mapping[str, np.ndarray], kinds: Kinds
    ) -> "Ids":
        """Return a layer that knows further items, with which nobody has interacted.

        `columns` are their packed columns, of these `kinds`.
        """
        known = self.attributes._replace(pairs=self.attribute_pairs.numpy())
        numbers = np.arange(len(items)) + len(self.items) + 1
        attributes = known.extended(columns, kinds, numbers)
        larger = Ids(
            self.users,
            [*self.items, *items],
            self.num_interactions,
            self.trained,
            attributes.to_json() if attributes.names else None,
            name=self.name,
        )
        for name in ("starts", "interactions", "in_test"):
            getattr(larger, name).assign(getattr(self, name))
        larger.attribute_pairs.assign(attributes.pairs)
        return larger

    def offer(self, items: list[str]) -> None:
        """Restrict recommendations to these items, which must be known."""
        index_of = {name: number for number, name in enumerate(items)}
        self.offered = items
        self._offered_indices = tf.constant(
            [index_of.get(name, -1) for name in self.items], "int32"
        )

    @property
    def offered_numbers(self) -> np.ndarray:
        """The numbers of the items that can be recommended, in their order."""
        if self._offered_indices is None:
            return np.arange(1, len(self.items) + 1, dtype="int32")
        index_of = {name: number for number, name in enumerate(self.items, 1)}
        return np.array([index_of[name] for name in self.offered], "int32")

    def offered_indices(self, numbers: Any) -> Any:
        """Return the indices in `offered` of items by number, int32 [n]; -1 for other items."""
        if self._offered_indices is None:
            return numbers - 1
        indices = tf.gather(self._offered_indices, tf.maximum(numbers - 1, 0))
        return tf.where(numbers > 0, indices, -1)

    def histories_of(self, users: Any, *, in_test: bool) -> Any:
        """Return the numbers of the items of users (string [n]), ragged int32 [n, items].

        `in_test` includes interactions only seen in test pairs.
        """
        numbers = self.user_numbers.lookup(users)
        first = tf.gather(self.starts.value, numbers)
        positions = tf.ragged.range(first, tf.gather(self.starts.value, numbers + 1))
        items = positions.with_values(tf.gather(self.interactions.value, positions.values))
        if in_test:
            return items
        is_counted = tf.gather(self.in_test.value, positions.values) == 0
        return tf.ragged.boolean_mask(items, positions.with_values(is_counted))

    def interactions_of(self, users: Any, *, in_test: bool) -> Any:
        """Return the interactions of users (string [n]) as int32 [m, 2]: user index, item index.

        Item indices refer to `offered`. `in_test` includes interactions only seen in test pairs.
        """
        items = self.histories_of(users, in_test=in_test)
        rows = tf.cast(items.value_rowids(), "int32")
        indices = self.offered_indices(items.values)
        return tf.boolean_mask(tf.stack([rows, indices], 1), indices >= 0)

    def compute_output_spec(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the specs: numbers of the same shape."""
        return {name: keras.KerasTensor(ids.shape, "int32") for name, ids in raw.items()}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`."""
        own = {"users": self.users, "items": self.items, "num_interactions": self.num_interactions}
        attributes = self.attributes.to_json() if self.attributes.names else None
        more = {"trained": list(self.trained), "attributes": attributes}
        return super().get_config() | own | more


def _table(ids: list[str]) -> Any:
    keys = tf.constant([encode_id(name) for name in ids], "string", [len(ids)])
    numbers = tf.range(1, len(ids) + 1, dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, numbers), 0)


def _texts(ids: np.ndarray) -> list[str]:
    # surrogateescape preserves bytes that are not UTF-8 in JSON.
    return [name.decode("utf-8", "surrogateescape") for name in ids]
