"""Choose the items of the catalogue that a request may recommend; inside a graph."""

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from pipelines.ids.preprocessing import Ids


def candidates(ids: "Ids", only: Any, exclude: Any) -> Any:
    """Return which of the offered items are candidates, bool [items].

    Args:
        ids: the layer of ids.
        only: string [m]; the candidates are among these items, or among all if it is empty.
        exclude: string [m]; these items are no candidates. Empty names are ignored in both.

    """
    allowed = _among(ids, only) | tf.reduce_all(only == "")
    return allowed & ~_among(ids, exclude)


def _among(ids: "Ids", items: Any) -> Any:
    """Return which of the offered items have one of these names, bool [items]."""
    indices = ids.offered_indices(ids.item_numbers.lookup(items))
    indices = tf.boolean_mask(indices, indices >= 0)[:, None]
    return tf.scatter_nd(indices, tf.ones_like(indices[:, 0]), [len(ids.offered)]) > 0


def unknown_items(ids: "Ids", *lists: Any) -> Any:
    """Return the distinct names in some lists that no known item has, string [u]."""
    names = tf.concat([tf.reshape(items, [-1]) for items in lists], 0)
    is_unknown = (names != "") & (ids.item_numbers.lookup(names) == 0)
    return tf.unique(tf.boolean_mask(names, is_unknown)).y
