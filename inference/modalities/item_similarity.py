"""Find similar items: those that a model recommends to the same users."""

from typing import Any

import numpy as np
import tensorflow as tf

from inference.modalities.item_scores import catalogue, ids_of, require_few
from pipelines.ids.numbering import encode_id

MAX_PROBE_USERS = 256  # users whose scores distinguish items
PAIRS_PER_BATCH = 2**17  # of a user and an item
MAX_COMPONENTS = 64  # of an item's vector
BELOW_ALL = 4.0  # -4 is below every similarity
# A smaller deviation, as a share of the largest score, counts as equal scores for all users.
MIN_RELATIVE_DEVIATION = 1e-4


def item_vectors(model: Any) -> np.ndarray | None:
    """Return unit vectors of the known items, float32 [items, components]; None if all are equal.

    The product of two vectors is the correlation of the items' scores over users, centred by
    user and by item. If the scores are the same for all users, as for popularity, ratings are
    used. It runs the model, so that any model has similar items; call it outside of graphs.
    """
    ids = ids_of(model)
    step = -(-len(ids.users) // MAX_PROBE_USERS)
    users, items = (
        tf.constant([encode_id(name) for name in names]) for names in (ids.users[::step], ids.items)
    )
    # A few users at a time: all pairs with 100,000 items do not fit into memory.
    block = max(1, PAIRS_PER_BATCH // len(items))
    outputs = np.concatenate(
        [_outputs(model, users[k : k + block], items) for k in range(0, len(users), block)]
    )
    ratings, scores = np.moveaxis(outputs, -1, 0)
    for table in (scores, ratings):
        centred = table.astype("float64")
        centred -= centred.mean(1, keepdims=True)
        centred -= centred.mean(0)
        if centred.std() > MIN_RELATIVE_DEVIATION * max(np.abs(table).max(), 1e-9):
            return _components(centred)
    return None


def _outputs(model: Any, users: Any, items: Any) -> np.ndarray:
    """Return rating and score of every pair, float32 [users, items, 2]."""
    pairs = {"user": tf.repeat(users, len(items)), "item": tf.tile(items, [len(users)])}
    outputs = np.asarray(model(pairs, training=False)[:, :2], "float32")
    return outputs.reshape(len(users), len(items), 2)


def _components(table: np.ndarray) -> np.ndarray:
    """Reduce the columns of a table to unit vectors of few components."""
    _, values, right = np.linalg.svd(table, full_matrices=False)
    rows = right.T[:, :MAX_COMPONENTS] * values[:MAX_COMPONENTS]
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, 1e-9 * lengths.max())).astype("float32")


def most_similar(model: Any, vectors: Any, items: Any, k: Any) -> tuple[Any, Any]:
    """Return names and similarities, -1 to 1, of the k items most similar to each: [n, k] both.

    For an unknown item, and after the last other item, the name is empty and the
    similarity 0. Raises as `require_few`.

    Args:
        model: a recommender.
        vectors: from `item_vectors`.
        items: string [n].
        k: int32 []; at most all items that can be recommended.

    """
    ids = ids_of(model)
    index = {name: number for number, name in enumerate(ids.items)}
    offered = tf.constant([index[name] for name in ids.offered], "int32")
    numbers = ids.item_numbers.lookup(require_few(items, len(ids.offered), "items")) - 1
    queries = tf.gather(vectors, tf.maximum(numbers, 0))
    similarity = tf.matmul(queries, tf.gather(vectors, offered), transpose_b=True)
    itself = numbers[:, None] == offered[None]
    top = tf.math.top_k(
        tf.where(itself, -BELOW_ALL, similarity), tf.clip_by_value(k, 0, len(ids.offered))
    )
    is_item = (numbers >= 0)[:, None] & (top.values > -BELOW_ALL)
    names = tf.gather(catalogue(ids), top.indices)
    return tf.where(is_item, names, ""), tf.where(is_item, top.values, 0.0)
