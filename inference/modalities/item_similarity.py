"""Find similar items: those that a model recommends to the same users."""

from typing import Any

import numpy as np
import tensorflow as tf

from inference.modalities.item_scores import catalogue, ids_of, list_scorer_of, require_few
from pipelines.ids.numbering import encode_id

MAX_PROBE_USERS = 256  # users whose scores distinguish items
MAX_PROBE_PAIRS = 2**27  # of a user and an item; large catalogues have fewer users
PAIRS_PER_BATCH = 2**17  # whose ratings are computed at once
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
    num_users = min(MAX_PROBE_USERS, max(1, MAX_PROBE_PAIRS // len(ids.items)))
    step = -(-len(ids.users) // num_users)
    users = tf.constant([encode_id(name) for name in ids.users[::step]])
    for table_of in (_scores, _ratings):
        table = table_of(model, users)
        centred = table.astype("float64")
        centred -= centred.mean(1, keepdims=True)
        centred -= centred.mean(0)
        if centred.std() > MIN_RELATIVE_DEVIATION * max(np.abs(table).max(), 1e-9):
            return _components(centred)
    return None


def _scores(model: Any, users: Any) -> np.ndarray:
    """Return the score of every pair, float32 [users, items]."""
    ids = ids_of(model)
    items = tf.range(1, len(ids.items) + 1)
    return np.asarray(list_scorer_of(model).list_scores(ids.user_numbers.lookup(users), items))


def _ratings(model: Any, users: Any) -> np.ndarray:
    """Return the rating of every pair, float32 [users, items]."""
    items = tf.constant([encode_id(name) for name in ids_of(model).items])
    # A few users at a time: all pairs with 100,000 items do not fit into memory.
    block = max(1, PAIRS_PER_BATCH // len(items))
    rows = []
    for start in range(0, len(users), block):
        some = users[start : start + block]
        pairs = {"user": tf.repeat(some, len(items)), "item": tf.tile(items, [len(some)])}
        outputs = np.asarray(model(pairs, training=False), "float32")
        rows.append(outputs[:, 0].reshape(len(some), len(items)))
    return np.concatenate(rows)


def _components(table: np.ndarray) -> np.ndarray:
    """Reduce the columns of a table to unit vectors of few components.

    The directions are the leading left singular vectors of the table.
    """
    _, directions = np.linalg.eigh(table @ table.T)
    rows = table.T @ directions[:, ::-1][:, :MAX_COMPONENTS]
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
    numbers = ids.item_numbers.lookup(require_few(items, len(ids.offered), "items"))
    queries = vectors_of(vectors, numbers)
    similarity = tf.matmul(queries, offered_vectors(ids, vectors), transpose_b=True)
    itself = numbers[:, None] == ids.offered_numbers[None]
    top = tf.math.top_k(
        tf.where(itself, -BELOW_ALL, similarity), tf.clip_by_value(k, 0, len(ids.offered))
    )
    is_item = (numbers > 0)[:, None] & (top.values > -BELOW_ALL)
    names = tf.gather(catalogue(ids), top.indices)
    return tf.where(is_item, names, ""), tf.where(is_item, top.values, 0.0)


def vectors_of(vectors: Any, numbers: Any) -> Any:
    """Return the vectors of items by number; for unknown items, number 0, those of any item."""
    return tf.gather(vectors, tf.maximum(numbers - 1, 0))


def offered_vectors(ids: Any, vectors: Any) -> Any:
    """Return the vectors of the items that can be recommended, without a copy if those are all."""
    return vectors if ids.offered is ids.items else vectors_of(vectors, ids.offered_numbers)
