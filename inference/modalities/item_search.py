"""Find the items with the highest scores; inside a TensorFlow graph or outside.

In a large catalogue the rows of most items are short, because most items have few interactions.
By the inequality of Cauchy and Schwarz a short row has no high score for any user. So the search
takes the items by the length of their rows, and ends where no item that is left can be among the
best, as LEMP does (Teflioudi, Gemulla and Mykytiuk, 2015). The result is that of all scores.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

ITEMS_PER_BLOCK = 4096  # a bound covers the scores of this many items
NUM_FIRST_ITEMS = 2 * ITEMS_PER_BLOCK  # whose scores are always computed
MIN_SEARCHED_ITEMS = 2 * NUM_FIRST_ITEMS  # all scores of a smaller catalogue take 1 ms
ROUNDING = 1e-4  # above the relative rounding error of a score


class TopItems(NamedTuple):
    """Indices of items in the catalogue and their scores, [n, k]; best first.

    The score is minus infinity for items that are left out.
    """

    indices: Any
    scores: Any


@runtime_checkable
class RowScorer(Protocol):
    """A layer whose scores are dot products of rows of users and rows of items."""

    def user_rows(self, users: Any) -> Any:
        """Numbers of users [n] -> float32 [n, width]."""
        ...

    def item_rows(self, items: Any) -> Any:
        """Numbers of items [m] -> float32 [m, width]."""
        ...


def search(scorer: RowScorer, users: Any, items: np.ndarray, left_out: Any, k: Any) -> TopItems:
    """Find the k items of a catalogue with the highest scores for each user.

    In a graph the rows of the items must not change after tracing.

    Args:
        scorer: has the rows.
        users: numbers of users, int32 [n].
        items: the catalogue, as numbers of items, int32 [items].
        left_out: pairs of a row of `users` and an index in the catalogue, int32 [m, 2].
        k: int32 [], at most the size of the catalogue.

    """
    order, bounds = _by_length(scorer, items)
    rows, numbers = scorer.user_rows(users), tf.constant(items[order])
    positions = np.argsort(order).astype("int32")
    left_out = tf.stack([left_out[:, 0], tf.gather(positions, left_out[:, 1])], 1)

    def scores(start: Any, end: Any) -> Any:
        """Return the scores of the items at these positions of the order."""
        table = scorer.item_rows(numbers[start:end])
        inside = (start <= left_out[:, 1]) & (left_out[:, 1] < end)
        pairs = tf.boolean_mask(left_out, inside) - [[0, start]]
        return without_pairs(tf.matmul(rows, table, transpose_b=True), pairs)

    first = scores(0, NUM_FIRST_ITEMS)
    end = bounds.end(rows, _kth_best(first, k))
    top = tf.math.top_k(tf.concat([first, scores(NUM_FIRST_ITEMS, end)], 1), k)
    return TopItems(tf.gather(order, top.indices), top.values)


def without_pairs(scores: Any, pairs: Any) -> Any:
    """Return scores [n, m] that are minus infinity at pairs of a row and a column, int32 [p, 2]."""
    return tf.tensor_scatter_nd_update(scores, pairs, tf.fill([tf.shape(pairs)[0]], -np.inf))


class _Bounds(NamedTuple):
    """What the scores of a block of items cannot exceed.

    Attributes:
        lengths: of the longest row of each block, float32 [blocks].
        largest: the largest absolute value of each column in each block, float32 [blocks, width].
        num_items: of all blocks.

    """

    lengths: np.ndarray
    largest: np.ndarray
    num_items: int

    def end(self, rows: Any, score: Any) -> Any:
        """Return after how many items no item of a block has this score [n, 1] or a higher one."""
        # The length of a user's row counts only in columns that are not empty in the block.
        used = tf.matmul(rows**2, (self.largest > 0).astype("float32"), transpose_b=True)
        bounds = tf.minimum(
            tf.sqrt(used) * self.lengths, tf.matmul(tf.abs(rows), self.largest, transpose_b=True)
        )
        numbers = tf.range(1, len(self.lengths) + 1)
        reached = tf.where(bounds * (1 + ROUNDING) >= score, numbers, 0)
        blocks = tf.maximum(tf.reduce_max(reached), NUM_FIRST_ITEMS // ITEMS_PER_BLOCK)
        return tf.minimum(blocks * ITEMS_PER_BLOCK, self.num_items)


def _kth_best(scores: Any, k: Any) -> Any:
    """Return the k-th highest score of each row, [n, 1]; minus infinity if there are fewer."""
    count = scores.shape[1]
    kth = tf.math.top_k(scores, tf.clip_by_value(k, 1, count)).values[:, -1:]
    return tf.where(k <= count, kth, -np.inf)


def _by_length(scorer: RowScorer, items: np.ndarray) -> tuple[np.ndarray, _Bounds]:
    """Return the indices of the items, longest row first, and the bounds of their scores."""
    with tf.init_scope():  # now, and not in the graph that is traced
        table = np.abs(scorer.item_rows(items).numpy())
    lengths = np.sqrt(np.einsum("ik,ik->i", table, table))
    order = np.argsort(-lengths, kind="stable").astype("int32")
    starts = range(0, len(items), ITEMS_PER_BLOCK)
    largest = np.stack([table[order[k : k + ITEMS_PER_BLOCK]].max(0) for k in starts])
    return order, _Bounds(lengths[order[::ITEMS_PER_BLOCK]], largest, len(items))
