"""Which items a model takes for alike: those that it offers to the same users."""

from typing import Any

import numpy as np
import tensorflow as tf

from inference.modalities.item_scores import catalogue, few, ids_of
from pipelines.ids.reading import encoded

MOST_ASKED = 256  # users whose answers tell items apart
BLOCK = 2**17  # pairs that the model is asked at a time
MOST_COLUMNS = 64  # in which an item is described
BEHIND = 4.0  # below every likeness
LEAST = 1e-4  # deviation, as a share of the largest answer, below which answers are all the same


def described(model: Any) -> np.ndarray | None:
    """Each known item as a row of length 1, float32 [items, columns]; None where all are the same.

    The product of two rows is the correlation of the items' scores over users,
    after what is usual for each user and for each item is taken off; where the
    scores are the same for all users, as those of popularity, of their ratings.
    Asks the model itself, so that it holds for every way of learning; not inside
    a graph.
    """
    ids = ids_of(model)
    step = -(-len(ids.users) // MOST_ASKED)
    users, items = (
        tf.constant([encoded(name) for name in names]) for names in (ids.users[::step], ids.items)
    )
    # A few users at a time: of 100,000 items all pairs are more than fit into memory.
    block = max(1, BLOCK // len(items))
    answers = np.concatenate(
        [_asked(model, users[k : k + block], items) for k in range(0, len(users), block)]
    )
    ratings, scores = np.moveaxis(answers, -1, 0)
    for table in (scores, ratings):
        own = table.astype("float64")
        own -= own.mean(1, keepdims=True)
        own -= own.mean(0)
        if own.std() > LEAST * max(np.abs(table).max(), 1e-9):
            return _rows(own)
    return None


def _asked(model: Any, users: Any, items: Any) -> np.ndarray:
    """Rating and score of every pair, float32 [users, items, 2]."""
    pairs = {"user": tf.repeat(users, len(items)), "item": tf.tile(items, [len(users)])}
    return np.asarray(model(pairs, training=False), "float32").reshape(len(users), len(items), 2)


def _rows(table: np.ndarray) -> np.ndarray:
    """The columns of a table in few numbers each, with length 1."""
    _, values, right = np.linalg.svd(table, full_matrices=False)
    rows = right.T[:, :MOST_COLUMNS] * values[:MOST_COLUMNS]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-9 * lengths.max())).astype("float32")


def nearest(model: Any, rows: Any, items: Any, k: Any) -> tuple[Any, Any]:
    """Names and likeness, -1 to 1, of the k offered items nearest to each: [n, k] both.

    Where there is no other item, or the one asked about is unknown, the name is
    empty and the likeness 0. Raises as `few`.

    Args:
        model: knows the ids.
        rows: of `described`.
        items: string [n].
        k: int32 []; at most all that are offered.

    """
    ids = ids_of(model)
    place = {name: number for number, name in enumerate(ids.items)}
    offered = tf.constant([place[name] for name in ids.offered], "int32")
    own = ids.item_numbers.lookup(few(items, len(ids.offered), "items")) - 1
    asked = tf.gather(rows, tf.maximum(own, 0))
    likeness = tf.matmul(asked, tf.gather(rows, offered), transpose_b=True)
    itself = own[:, None] == offered[None]
    found = tf.math.top_k(
        tf.where(itself, -BEHIND, likeness), tf.clip_by_value(k, 0, len(ids.offered))
    )
    other = (own >= 0)[:, None] & (found.values > -BEHIND)
    names = tf.gather(catalogue(ids), found.indices)
    return tf.where(other, names, ""), tf.where(other, found.values, 0.0)
