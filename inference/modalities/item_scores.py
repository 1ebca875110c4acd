"""Every item scored for a user, best first, inside a TensorFlow graph or outside."""

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from pipelines.ids.reading import encoded

if TYPE_CHECKING:
    import keras

    from pipelines.ids.preprocessing import Ids

# Users times items of one question: the scores and what the model makes on the way to them
# are a few hundred bytes each.
MOST_PAIRS = 2**21


class Best(NamedTuple):
    """Places of items in the catalogue and their scores, [n, k]; best first.

    Where a user has met all the others, the score is minus infinity.
    """

    places: Any
    scores: Any


def ids_of(model: "keras.Model") -> "Ids":
    """The layer of a model that knows the ids."""
    from pipelines.ids.preprocessing import Ids

    return next(layer for layer in model.layers if isinstance(layer, Ids))


def catalogue(ids: "Ids") -> Any:
    """The items that can be recommended, string [items]."""
    return tf.constant([encoded(name) for name in ids.offered], shape=[len(ids.offered)])


@contextlib.contextmanager
def offering(model: "keras.Model", items: Collection[str]) -> Iterator[None]:
    """Meanwhile recommend only those of the known items that are among these."""
    ids = ids_of(model)
    before = ids.offered
    ids.offer([name for name in ids.items if name in items])
    try:
        yield
    finally:
        ids.offer(before)


def at_once(count: int) -> int:
    """How many users, or items, may be asked at once, where each has so many answers."""
    return max(1, MOST_PAIRS // max(count, 1))


def few(asked: Any, count: int, kind: str) -> Any:
    """The same users, or items, [n]; inside a graph or outside.

    Raises tf.errors.InvalidArgumentError where they are so many that the answers,
    `count` for each, would not fit into memory.
    """
    most = at_once(count)
    told = tf.strings.join(
        [
            "Received ",
            tf.strings.as_string(tf.size(asked)),
            f" {kind}; expected at most {most} at once",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.size(asked) <= most, [told])]):
        return tf.identity(asked)


def best(model: "keras.Model", users: Any, k: Any, exclude_seen: Any, *, in_test: bool) -> Best:
    """The k items of the highest scores for each user. Raises as `few`.

    Args:
        model: from {user, item} of strings to [n, 2]: rating, score.
        users: string [n].
        k: int32 []; at most all items.
        exclude_seen: bool []; leave out what a user met.
        in_test: whether pairs of test count as met; a judge looks for them in the lists.

    """
    ids = ids_of(model)
    items, count = catalogue(ids), len(ids.offered)
    users = few(users, count, "users")
    pairs = {"user": tf.repeat(users, count), "item": tf.tile(items, [tf.size(users)])}
    scores = tf.reshape(model(pairs, training=False)[:, 1], [-1, count])
    met = ids.met_by(users, in_test=in_test)
    # No index at all changes nothing.
    met = tf.boolean_mask(met, tf.fill([tf.shape(met)[0]], exclude_seen))
    never = tf.fill([tf.shape(met)[0]], tf.constant(float("-inf")))
    scores = tf.tensor_scatter_nd_update(scores, met, never)
    found = tf.math.top_k(scores, tf.clip_by_value(k, 0, count))
    return Best(found.indices, found.values)
