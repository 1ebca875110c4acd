"""Layers that rank items by the order of a user's items."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from apps.recommender.dot_product import FactorDotProduct
from apps.recommender.sequences import LENGTH

WIDTH_PER_FACTOR = 4  # numbers of a state for each latent factor of the app
NUM_BLOCKS, NUM_HEADS = 1, 2
DROPOUT = 0.3
INITIAL_DEVIATION = 0.02  # of positions; of items it is the root of 1 / width
MASKED = -1e9  # the logit of a later item, which must not be read


@keras.saving.register_keras_serializable("athanor")
class CausalBlock(keras.layers.Layer):
    """A block of a transformer in which each position reads itself and earlier ones.

    Args:
        width: numbers at each position.
        num_heads: heads of the attention; `width` is a multiple.
        dropout: fraction of numbers that are zero in a training step.

    References:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017; normalisation before each part:
        Xiong et al., On Layer Normalization in the Transformer Architecture, ICML 2020.

    """

    def __init__(self, width: int, num_heads: int, dropout: float, **options: Any) -> None:
        super().__init__(**{"dtype": "float32"} | options)
        self.width, self.num_heads, self.dropout = width, num_heads, dropout
        dtype = self.dtype_policy
        self.norms = [keras.layers.LayerNormalization(dtype=dtype) for _ in range(2)]
        self.projection = keras.layers.Dense(3 * width, dtype=dtype)
        self.attended = keras.layers.Dense(width, dtype=dtype)
        self.hidden = keras.layers.Dense(4 * width, "gelu", dtype=dtype)
        self.output_dense = keras.layers.Dense(width, dtype=dtype)
        self.drop = keras.layers.Dropout(dropout, dtype=dtype)

    def build(self, shape: Any) -> None:
        """Create the weights."""
        for layer in (*self.norms, self.projection, self.attended, self.hidden):
            layer.build(shape)
        self.output_dense.build((*shape[:-1], 4 * self.width))

    def call(self, states: Any, training: bool | None = None) -> Any:
        """[n, length, width] -> [n, length, width]."""
        attended = self.attended(self._attention(self.norms[0](states)))
        states += self.drop(attended, training=training)
        hidden = self.output_dense(self.hidden(self.norms[1](states)))
        return states + self.drop(hidden, training=training)

    def _attention(self, states: Any) -> Any:
        """Return the means of earlier positions, weighted by softmax(q k / sqrt(d)), by head."""
        length, head_width = states.shape[1], self.width // self.num_heads
        parts = ops.reshape(self.projection(states), (-1, length, 3, self.num_heads, head_width))
        q, k, v = (ops.transpose(parts[:, :, part], (0, 2, 1, 3)) for part in range(3))
        logits = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / np.sqrt(head_width)
        later = np.triu(np.full((length, length), MASKED, "float32"), 1)
        means = ops.matmul(ops.softmax(logits + later), v)
        return ops.reshape(ops.transpose(means, (0, 2, 1, 3)), (-1, length, self.width))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        names = ("width", "num_heads", "dropout")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("athanor")
class SequenceEncoder(keras.layers.Layer):
    """Predicts the next item of a user from the items before it (SASRec).

    The score of an item is the dot product of the state after the last item with the vector of
    the item, plus a bias. The same vectors are read, so that an item has one row.

    Args:
        num_items: known items; number 0 stands for no item.
        length: items that are read.
        width: numbers of a state.
        dropout: as in `CausalBlock`, and of the vectors that are read.

    References:
        Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018; cross-entropy over
        all items: Klenitskiy and Vasilev, Turning Dross Into Gold Loss, RecSys 2023.

    """

    def __init__(
        self, num_items: int, length: int, width: int, dropout: float, **options: Any
    ) -> None:
        super().__init__(**{"dtype": "float32"} | options)
        self.num_items, self.length, self.width, self.dropout = num_items, length, width, dropout
        normal = keras.initializers.RandomNormal
        self.items = self.add_weight((num_items + 1, width), normal(stddev=width**-0.5))
        self.biases = self.add_weight((num_items + 1,), "zeros")
        self.positions = self.add_weight((length, width), normal(stddev=INITIAL_DEVIATION))
        self.blocks = [
            CausalBlock(width, NUM_HEADS, dropout, dtype=self.dtype_policy)
            for _ in range(NUM_BLOCKS)
        ]
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.norm = keras.layers.LayerNormalization(dtype=self.dtype_policy)
        for layer in (*self.blocks, self.norm):
            layer.build((None, length, width))
        self.built = True

    def call(self, numbers: Any, training: bool | None = None) -> Any:
        """Numbers of items [n, length], 0 after the last one -> states [n, length, width].

        A state depends on its own and earlier positions alone.
        """
        states = ops.take(self.items, numbers, axis=0) + self.positions
        states = self.drop(states, training=training)
        for block in self.blocks:
            states = block(states, training=training)
        return self.norm(states)

    def logits(self, states: Any) -> Any:
        """States [..., width] -> the score of each known item as the next one, [..., items]."""
        return ops.matmul(states, ops.transpose(self.items[1:])) + self.biases[1:]

    def last_states(self, numbers: Any) -> Any:
        """Numbers of items [n, length], 0 after the last one -> the last states [n, width]."""
        last = tf.maximum(tf.math.count_nonzero(numbers, axis=1, dtype=tf.int32) - 1, 0)
        return tf.gather(self(numbers, training=False), last, batch_dims=1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        names = ("num_items", "length", "width", "dropout")
        return super().get_config() | {name: getattr(self, name) for name in names}


class NextItemLogits(keras.layers.Layer):
    """Returns the score of each item after each position: the output that is trained."""

    def __init__(self, encoder: SequenceEncoder) -> None:
        super().__init__(dtype=encoder.dtype_policy)
        self.encoder = encoder
        self.built = True

    def call(self, numbers: Any, training: bool | None = None) -> Any:
        """Numbers of items [n, length] -> float32 [n, length, items]."""
        return self.encoder.logits(self.encoder(numbers, training=training))


@keras.saving.register_keras_serializable("athanor")
class SequenceDotProduct(FactorDotProduct):
    """Ranks items by their order in time too: columns of two models, side by side.

    The first columns of the tables of scores are those of a model without order. The others hold
    the state of each user after the last item, and the vectors and biases of items. So a list of a
    known user is a dot product, as in the base class. A list of liked items runs the network.

    Args:
        width: numbers of a state.
        dropout: see `SequenceEncoder`.

    """

    def __init__(self, *arguments: Any, width: int, dropout: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.width, self.dropout = width, dropout
        self.unordered_width = self.score_width - width - 1
        # The standard deviation of a user's scores without order, and the weight of the network's.
        self.mix = self.add_weight((2,), "zeros", trainable=False, name="mix")
        self.encoder = SequenceEncoder(
            self.num_items, LENGTH, width, dropout, dtype=self.dtype_policy, name="encoder"
        )

    def list_scores_of_liked(self, liked: Any, items: Any) -> Any:
        """Numbers of liked items [n, l], the newest last, and of items [m] -> float32 [n, m]."""
        return self._scores(self.liked_rows(liked), items)

    def liked_rows(self, liked: Any) -> Any:
        """Numbers of liked items [n, l], the newest last -> rows of users who like these.

        The users need not be known; 0 stands for an unknown item, or fills shorter lists. Users
        without a known item get popularity.
        """
        width = self.unordered_width
        unordered = ops.sum(ops.take(self.liked, liked, axis=0), axis=1)[:, :width]
        states = self.encoder.last_states(newest_known(liked, LENGTH))
        rows = mixed_rows(unordered, states, self.score_tables[1][1:, :width], self.mix)
        is_known = ops.any(ops.not_equal(liked, 0), axis=1, keepdims=True)
        return ops.where(is_known, rows, self.score_tables[0][:1])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"width": self.width, "dropout": self.dropout}


def make_layer(
    *counts: int, num_factors: int, score_width: int, **options: Any
) -> SequenceDotProduct:
    """Return the layer of the sequence model; its score has `score_width` columns without order."""
    width = WIDTH_PER_FACTOR * num_factors
    options |= {"score_width": score_width + width + 1}
    return SequenceDotProduct(*counts, width=width, dropout=DROPOUT, **options)


def mixed_rows(unordered: Any, states: Any, items: Any, mix: Any) -> Any:
    """Return rows of users: rows without order [n, any], then states [n, width] and 1, weighted.

    Args:
        unordered: rows of users.
        states: the states of the network after their last items.
        items: the rows of items that belong to `unordered`, [items, any].
        mix: the standard deviation of the scores without order, and the weight of the network's.

    """
    deviations = ops.std(ops.matmul(unordered, ops.transpose(items)), axis=1, keepdims=True)
    ordered = ops.concatenate([states, ops.ones_like(states[:, :1])], axis=1)
    scaled = ops.divide_no_nan(unordered * mix[0], deviations)
    return ops.concatenate([scaled, ordered * mix[1]], axis=1)


def newest_known(liked: Any, length: int) -> Any:
    """Return the last `length` numbers of each row [n, l] that are not 0, then 0: [n, length]."""
    is_unknown = tf.equal(liked, 0)
    order = tf.argsort(tf.cast(is_unknown, tf.int32), axis=1, stable=True)
    known = tf.pad(tf.gather(liked, order, batch_dims=1), [[0, 0], [0, length]])
    counts = tf.reduce_sum(tf.cast(~is_unknown, tf.int32), 1, keepdims=True)
    first = tf.maximum(counts - length, 0)
    return tf.gather(known, first + tf.range(length), batch_dims=1)
