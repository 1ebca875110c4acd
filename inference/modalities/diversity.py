"""Diverse lists by maximal marginal relevance; inside a graph.

Carbonell and Goldstein, "The use of MMR, diversity-based reranking", 1998.
"""

from typing import Any, NamedTuple

import tensorflow as tf

POOL_PER_ITEM = 10  # candidates for each place of a list: those with the highest scores


class Pool(NamedTuple):
    """The candidates of each list, the one with the highest score first.

    Attributes:
        relevance: scores scaled to 0 to 1 within a list, minus infinity for no item, [n, pool].
        vectors: unit vectors, [n, pool, components].

    """

    relevance: Any
    vectors: Any


def diverse_positions(scores: Any, vectors: Any, k: Any, weight: Any) -> tuple[Any, Any]:
    """Return the positions in the catalogue of the items of diverse lists, int32 [n, k].

    Each place has the item with the highest (1 - weight) relevance - weight similarity, where
    similarity is that to the most similar item before it. The second result is the scores of
    these items, minus infinity after the last one.

    Args:
        scores: float32 [n, items]; minus infinity for items that are no candidates.
        vectors: float32 [items, components], unit vectors of the same items.
        k: int32 []; at most all items.
        weight: float32 [] of diversity, 0 to 1.

    """
    top = tf.math.top_k(scores, tf.minimum(POOL_PER_ITEM * k, tf.shape(scores)[1]))
    pool = Pool(_relevance(top.values), tf.gather(vectors, top.indices))
    places = _greedy_places(pool, k, weight)
    chosen = tf.gather(top.values, tf.maximum(places, 0), batch_dims=1)
    positions = tf.gather(top.indices, tf.maximum(places, 0), batch_dims=1)
    return positions, tf.where(places >= 0, chosen, float("-inf"))


def _relevance(scores: Any) -> Any:
    """Scale the finite scores of each row to 0 to 1; they are in descending order."""
    is_item = tf.math.is_finite(scores)
    highest = tf.reduce_max(scores, 1, keepdims=True)
    lowest = tf.reduce_min(tf.where(is_item, scores, float("inf")), 1, keepdims=True)
    relevance = tf.math.divide_no_nan(scores - lowest, highest - lowest)
    return tf.where(is_item, relevance, float("-inf"))


def _greedy_places(pool: Pool, k: Any, weight: Any) -> Any:
    """Return the places in the pool of the chosen items, int32 [n, k]; -1 after the last one."""
    num_places = tf.shape(pool.relevance)[1]
    chosen = tf.TensorArray("int32", k, element_shape=[None])

    def choose(rank: Any, left: Any, redundancy: Any, chosen: Any) -> tuple[Any, ...]:
        value = (1 - weight) * left - weight * redundancy
        value = tf.where(tf.math.is_finite(left), value, float("-inf"))  # not 0 times infinity
        place = tf.argmax(value, 1, "int32")
        is_item = tf.math.is_finite(tf.reduce_max(value, 1))
        vector = tf.gather(pool.vectors, place, batch_dims=1)
        similarity = tf.einsum("npc,nc->np", pool.vectors, vector)
        redundancy = tf.cond(
            rank > 0, lambda: tf.maximum(redundancy, similarity), lambda: similarity
        )
        left = tf.where(tf.one_hot(place, num_places) > 0, float("-inf"), left)
        return rank + 1, left, redundancy, chosen.write(rank, tf.where(is_item, place, -1))

    state = (tf.constant(0), pool.relevance, tf.zeros_like(pool.relevance), chosen)
    *_, chosen = tf.while_loop(lambda rank, *_: rank < k, choose, state)
    return tf.transpose(chosen.stack())
