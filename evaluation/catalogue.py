"""Every item scored for a user, best first, inside a TensorFlow graph or outside."""

import contextlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from pipelines.ids import Ids, encoded


class Best(NamedTuple):
    """Places of items in the catalogue and their scores, [n, k]; best first.

    Where a user has met all the others, the score is minus infinity.
    """

    places: Any
    scores: Any


def ids_of(model: keras.Model) -> Ids:
    """The layer of a model that knows the ids."""
    return next(layer for layer in model.layers if isinstance(layer, Ids))


def catalogue(ids: Ids) -> Any:
    """The items that can be recommended, string [items]."""
    return tf.constant([encoded(name) for name in ids.offered], shape=[len(ids.offered)])


@contextlib.contextmanager
def offering(model: keras.Model, items: Collection[str]) -> Iterator[None]:
    """Meanwhile recommend only those of the known items that are among these."""
    ids = ids_of(model)
    before = ids.offered
    ids.offer([name for name in ids.items if name in items])
    try:
        yield
    finally:
        ids.offer(before)


def best(model: keras.Model, users: Any, k: Any, exclude_seen: Any) -> Best:
    """The k items of the highest scores for each user.

    Args:
        model: from {user, item} of strings to [n, 2]: rating, score.
        users: string [n].
        k: int32 []; at most all items.
        exclude_seen: bool []; leave out what a user met in training or validation.

    """
    ids = ids_of(model)
    items, count = catalogue(ids), len(ids.offered)
    pairs = {"user": tf.repeat(users, count), "item": tf.tile(items, [tf.size(users)])}
    scores = tf.reshape(model(pairs, training=False)[:, 1], [-1, count])
    met = ids.met_by(users)
    # No index at all changes nothing.
    met = tf.boolean_mask(met, tf.fill([tf.shape(met)[0]], exclude_seen))
    never = tf.fill([tf.shape(met)[0]], tf.constant(float("-inf")))
    scores = tf.tensor_scatter_nd_update(scores, met, never)
    found = tf.math.top_k(scores, tf.clip_by_value(k, 0, count))
    return Best(found.indices, found.values)
