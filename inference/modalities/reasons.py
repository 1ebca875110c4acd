"""Say why an item is recommended: the items of the user's history that are most similar to it."""

from typing import Any

import tensorflow as tf

from inference.modalities.item_similarity import vectors_of

NUM_REASONS = 3


def nearest_of_history(vectors: Any, numbers: Any, history: Any) -> tuple[Any, Any]:
    """Return the most similar items of each history, the nearest first; inside a graph.

    Only items with a similarity above 0 count. The results are numbers, int32
    [n, k, NUM_REASONS], and similarities, float32 of the same shape; both 0 after the last one.

    Args:
        vectors: from `item_vectors`.
        numbers: of the recommended items, int32 [n, k]; 0 for no item.
        history: numbers, int32 [n, h]; 0 for no item.

    """
    history = tf.pad(history, [[0, 0], [0, NUM_REASONS]])
    shape = [NUM_REASONS]

    def nearest(row: tuple[Any, Any]) -> tuple[Any, Any]:
        items, past = row
        similarity = tf.matmul(
            vectors_of(vectors, items), vectors_of(vectors, past), transpose_b=True
        )
        is_other = (items[:, None] != past[None]) & (items[:, None] > 0) & (past[None] > 0)
        top = tf.math.top_k(tf.where(is_other, similarity, 0.0), NUM_REASONS)
        similarities = tf.maximum(top.values, 0.0)
        return tf.where(similarities > 0, tf.gather(past, top.indices), 0), similarities

    # A row at a time: histories may be long.
    specs = tf.TensorSpec([None, *shape], tf.int32), tf.TensorSpec([None, *shape], tf.float32)
    return tf.map_fn(nearest, (numbers, history), fn_output_signature=specs)
