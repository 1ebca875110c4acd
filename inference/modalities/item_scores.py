"""Score every item for a user, and return the best; inside a TensorFlow graph or outside."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import tensorflow as tf

from inference.modalities.item_search import (
    MIN_SEARCHED_ITEMS,
    RowScorer,
    TopItems,
    search,
    without_pairs,
)
from pipelines.ids.numbering import encode_id

if TYPE_CHECKING:
    import keras

    from pipelines.ids.preprocessing import Ids

# Users times items of one request; a pair in a list of all items takes some hundred bytes as JSON.
MAX_PAIRS = 2**21


def ids_of(model: "keras.Model") -> "Ids":
    """Return the model's layer of ids."""
    from pipelines.ids.preprocessing import Ids

    return next(layer for layer in model.layers if isinstance(layer, Ids))


@runtime_checkable
class ListScorer(Protocol):
    """A layer that scores lists of items, for users by number or by the items that they like."""

    def list_scores(self, users: Any, items: Any) -> Any:
        """Numbers of users [n] and items [m] -> float32 [n, m]."""
        ...

    def list_scores_of_liked(self, liked: Any, items: Any) -> Any:
        """Numbers of liked items [n, l], oldest first, and of items [m] -> float32 [n, m].

        0 is no item. A row without an item has the scores of an unknown user.
        """
        ...


def list_scorer_of(model: "keras.Model") -> ListScorer:
    """Return the layer of a model, or of a model inside it, that scores lists."""
    layers = [inner for layer in model.layers for inner in getattr(layer, "layers", [layer])]
    return next(layer for layer in layers if isinstance(layer, ListScorer))


@runtime_checkable
class LearnsItems(Protocol):
    """A layer that knows items by their columns."""

    contents: Mapping[str, Any]

    def with_items(self, columns: Mapping[str, Any]) -> Any:
        """Packed columns of n items -> a layer that knows these items too."""
        ...


def item_learner_of(model: "keras.Model") -> LearnsItems | None:
    """Return the layer of a model that knows items by their columns; None if there is none."""
    layer = list_scorer_of(model)
    return layer if isinstance(layer, LearnsItems) and "item" in layer.contents else None


def with_new_items(
    model: "keras.Model", layer: LearnsItems, items: Sequence[str], columns: Mapping[str, Any]
) -> "keras.Model":
    """Return a model that knows further items by their packed columns [n]; `layer` is its own."""
    import keras

    raw = {name: keras.Input((), dtype="string", name=name) for name in ("user", "item")}
    kinds = layer.contents["item"].cell_reading().kinds
    numbers = ids_of(model).with_items(items, columns, kinds)(raw)
    return keras.Model(raw, layer.with_items(columns)(numbers), name=model.name)


def catalogue(ids: "Ids") -> Any:
    """Return the items that can be recommended, string [items]."""
    return tf.constant([encode_id(name) for name in ids.offered], shape=[len(ids.offered)])


@contextlib.contextmanager
def recommending_only(model: "keras.Model", items: Collection[str]) -> Iterator[None]:
    """Within this context, recommend only known items that are among `items`."""
    ids = ids_of(model)
    before = ids.offered
    ids.offer([name for name in ids.items if name in items])
    try:
        yield
    finally:
        ids.offer(before)


def max_batch_size(count: int) -> int:
    """Return the maximum number of users or items in one request, if each has `count` scores."""
    return max(1, MAX_PAIRS // max(count, 1))


def require_few(ids: Any, count: int, kind: str) -> Any:
    """Return the same ids [n], checked; inside a graph or outside.

    Raises tf.errors.InvalidArgumentError if there are too many ids: their scores, `count` for
    each, would not fit into memory.
    """
    limit = max_batch_size(count)
    message = tf.strings.join(
        [
            "Received ",
            tf.strings.as_string(tf.size(ids)),
            f" {kind}; expected at most {limit} at once",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.size(ids) <= limit, [message])]):
        return tf.identity(ids)


def top_items(
    model: "keras.Model", users: Any, k: Any, exclude_seen: Any, *, in_test: bool
) -> TopItems:
    """Find the k items with the highest scores for each user. Raises as `require_few`.

    Args:
        model: from {user, item} of strings to ratings and scores, with a `ListScorer`.
        users: string [n].
        k: int32 []; at most all items.
        exclude_seen: bool []; leave out interactions of the user.
        in_test: whether test pairs count as interactions; evaluation recommends them.

    """
    ids = ids_of(model)
    items, scorer = ids.offered_numbers, list_scorer_of(model)
    users = require_few(users, len(items), "users")
    numbers = ids.user_numbers.lookup(users)
    interactions = ids.interactions_of(users, in_test=in_test)
    # Without exclude_seen no pair is left.
    interactions = tf.boolean_mask(interactions, tf.fill([tf.shape(interactions)[0]], exclude_seen))
    k = tf.clip_by_value(k, 0, len(items))
    if len(items) >= MIN_SEARCHED_ITEMS and isinstance(scorer, RowScorer):
        return search(scorer, numbers, items, interactions, k)
    scores = without_pairs(scorer.list_scores(numbers, items), interactions)
    top = tf.math.top_k(scores, k)
    return TopItems(top.indices, top.values)
