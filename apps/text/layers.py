"""Recurrent layers that never see padding, and the layer of a linear model beside them."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from apps.text import ngram_logits
from apps.text.ngram_logits import FOLDS
from pipelines.texts.preprocessing import PADDING, UNKNOWN

Cell = Literal["lstm", "gru"]


@keras.saving.register_keras_serializable("athanor")
class WordDropout(keras.layers.Layer):
    """In training, makes words unknown at random; padding stays.

    So the network learns what to do with unknown words even where the
    vocabulary holds every word of the training texts.

    References:
        Iyyer et al., Deep Unordered Composition Rivals Syntactic Methods, ACL 2015.

    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "int32", **kwargs})
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, words: Any, training: bool | None = None) -> Any:
        """[batch, time] -> [batch, time]."""
        if not training or not self.rate:
            return words
        drawn = keras.random.uniform(tf.shape(words), dtype="float32", seed=self.seed_generator)
        return tf.where((drawn < self.rate) & (words != PADDING), UNKNOWN, words)

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("athanor")
class FusedLSTM(keras.layers.Layer):
    """An LSTM over [batch, time, any] by TensorFlow's kernel for whole sequences.

    Keras runs a loop of some dozen operations a step where there is no cuDNN; on
    two cores this took a third of the time.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997;
        bias 1 on the forget gate: Gers, Schmidhuber and Cummins, 2000.

    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.width = width

    def build(self, shape: Any) -> None:
        """Kernels of the input and of the state, gates in Keras's order i, f, c, o."""
        self.kernel = self.add_weight(shape=(shape[-1], 4 * self.width), name="kernel")
        self.recurrent = self.add_weight(
            shape=(self.width, 4 * self.width), initializer="orthogonal", name="recurrent"
        )
        forget = np.repeat([0.0, 1.0, 0.0, 0.0], self.width)
        self.bias = self.add_weight(
            shape=(4 * self.width,),
            initializer=lambda shape, dtype: tf.constant(forget, dtype, shape),
            name="bias",
        )

    def call(self, inputs: Any) -> Any:
        """[batch, time, any] -> states [batch, time, width]."""
        by_time = tf.transpose(inputs, [1, 0, 2])
        start = tf.zeros([tf.shape(inputs)[0], self.width])
        peephole = tf.zeros([self.width])
        states = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.shape(by_time, tf.int64)[0],
            x=by_time, cs_prev=start, h_prev=start,
            w=tf.concat([self.kernel, self.recurrent], 0),
            wci=peephole, wcf=peephole, wco=peephole,
            b=tf.convert_to_tensor(self.bias), cell_clip=0.0, use_peephole=False,
        ).h  # fmt: skip
        return tf.transpose(states, [1, 0, 2])

    def compute_output_spec(self, inputs: Any) -> Any:
        """Floats [batch, time, width]."""
        return keras.KerasTensor((*inputs.shape[:2], self.width), "float32")

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"width": self.width}


@keras.saving.register_keras_serializable("athanor")
class BothWays(keras.layers.Layer):
    """Reads each text forwards, and backwards from its own last word.

    Padding lies behind in both directions, so that no state of a word has seen
    any: no mask is needed, and none can be forgotten.

    Args:
        cell: `lstm` or `gru`.
        width: of the state of each direction.

    References:
        Schuster and Paliwal, Bidirectional Recurrent Neural Networks, 1997.

    """

    def __init__(self, cell: Cell, width: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.cell, self.width = cell, width
        self.forwards, self.backwards = (self._reader(name) for name in ("forwards", "backwards"))

    def _reader(self, name: str) -> Any:
        if self.cell == "lstm":
            return FusedLSTM(self.width, name=name)
        return keras.layers.GRU(self.width, return_sequences=True, dtype="float32", name=name)

    def build(self, inputs_shape: Any, words_shape: Any = None) -> None:  # noqa: ARG002
        """Both readers."""
        self.forwards.build(inputs_shape)
        self.backwards.build(inputs_shape)

    def call(self, inputs: Any, words: Any) -> Any:
        """Vectors [batch, time, any] of words [batch, time] -> [batch, time, 2 width]."""
        sizes = tf.math.count_nonzero(words != PADDING, axis=1)
        backwards = self.backwards(tf.reverse_sequence(inputs, sizes, seq_axis=1))
        return tf.concat(
            [self.forwards(inputs), tf.reverse_sequence(backwards, sizes, seq_axis=1)], axis=-1
        )

    def compute_output_spec(self, inputs: Any, words: Any) -> Any:  # noqa: ARG002
        """Floats [batch, time, 2 width]."""
        return keras.KerasTensor((*inputs.shape[:2], 2 * self.width), "float32")

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"cell": self.cell, "width": self.width}


@keras.saving.register_keras_serializable("athanor")
class PoolWords(keras.layers.Layer):
    """Mean and maximum over the words of a text; zeros for a text without words."""

    def call(self, vectors: Any, words: Any) -> Any:
        """Vectors [batch, time, n] of words [batch, time] -> [batch, 2 n]."""
        real = (words != PADDING)[:, :, tf.newaxis]
        count = tf.reduce_sum(tf.cast(real, vectors.dtype), axis=1)
        mean = tf.reduce_sum(tf.where(real, vectors, 0.0), axis=1) / tf.maximum(count, 1.0)
        most = tf.reduce_max(tf.where(real, vectors, vectors.dtype.min), axis=1)
        return tf.concat([mean, tf.where(count > 0, most, 0.0)], axis=-1)

    def compute_output_spec(self, vectors: Any, words: Any) -> Any:  # noqa: ARG002
        """Floats [batch, 2 n]."""
        return keras.KerasTensor((vectors.shape[0], 2 * vectors.shape[-1]), "float32")


@keras.saving.register_keras_serializable("athanor")
class Evidence(keras.layers.Layer):
    """Logistic regression on the known runs of words of a text, solved before training.

    A run that is in a text weighs 1 + ln(texts / texts with it), with 1 added to both
    numbers; all of a text together have length 1. In training a text is answered by a
    regression that has not seen it, as unseen texts will be: what is known by heart
    would leave a network beside it nothing to learn, and how far the answer can be
    trusted, a factor that is learned, would not show. Of two classes there is one
    column, which speaks for the second and against the first.

    Args:
        num_ngrams: n-grams that have a number, from 1; 0 is none.
        num_classes: logits.

    """

    def __init__(self, num_ngrams: int, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_ngrams, self.num_classes = num_ngrams, num_classes
        self.seen: tuple | None = None  # of the training texts: a mark a run, sums of them, folds

    def build(self, runs_shape: Any) -> None:  # noqa: ARG002
        """What `solve` finds, and what training makes of it."""
        columns = 1 if self.num_classes == 2 else self.num_classes
        shapes = {
            "rarity": (self.num_ngrams + 1,),
            "table": (1 + FOLDS, self.num_ngrams + 1, columns),
            "bias": (1 + FOLDS, columns),
        }
        for name, shape in shapes.items():
            weight = self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            setattr(self, name, weight)
        self.trust = self.add_weight(shape=(), initializer="ones", name="trust")

    def solve(self, batches: Any, places: np.ndarray) -> None:
        """Learn from batches of (runs, class numbers); texts of one place share a fold."""
        known = ngram_logits.matrix(batches, self.num_ngrams + 1)
        folds = (places * 2**32).astype("int64") % FOLDS
        marks = np.random.default_rng(0).integers(2**62, size=self.num_ngrams + 1)
        marks[PADDING] = 0
        keys, first = np.unique(ngram_logits.sums(known, marks), return_index=True)
        self.seen = tuple(map(tf.constant, (marks, keys, folds[first].astype("int32"))))
        rarity, coefficients, bias, trust = ngram_logits.solve(known, folds, self.num_classes)
        self.rarity.assign(rarity)
        self.table.assign(rarity[:, np.newaxis] * coefficients)
        self.bias.assign(bias)
        self.trust.assign(trust)

    def call(self, runs: Any, training: bool | None = None) -> Any:
        """Numbers of runs [batch, any] -> logits [batch, num_classes]."""
        runs = tf.cast(runs, tf.int32)
        which = tf.zeros([tf.shape(runs)[0]], tf.int32)
        if training and self.seen is not None:
            which = 1 + _folds(runs, *self.seen)
        places = tf.where(runs != PADDING)
        numbers, rows = tf.gather_nd(runs, places), tf.cast(places[:, 0], tf.int32)
        table = tf.convert_to_tensor(self.table)
        # Sums without a tensor of [batch, runs, classes], which long texts would make huge.
        total = tf.raw_ops.SparseSegmentSumWithNumSegments(
            data=tf.reshape(table, [-1, table.shape[-1]]),
            indices=tf.gather(which, rows) * (self.num_ngrams + 1) + numbers,
            segment_ids=rows,
            num_segments=tf.shape(runs)[0],
        )
        squares = tf.square(tf.gather(self.rarity, numbers))
        length = tf.sqrt(tf.math.unsorted_segment_sum(squares, rows, tf.shape(runs)[0]))
        logits = tf.math.divide_no_nan(total, length[:, tf.newaxis]) + tf.gather(self.bias, which)
        logits *= self.trust
        return tf.concat([-logits, logits], axis=1) if self.num_classes == 2 else logits

    def compute_output_spec(self, runs: Any) -> Any:
        """Floats [batch, num_classes]."""
        return keras.KerasTensor((runs.shape[0], self.num_classes), "float32")

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {
            "num_ngrams": self.num_ngrams,
            "num_classes": self.num_classes,
        }


def _folds(runs: Any, marks: Any, keys: Any, folds: Any) -> Any:
    """The folds of training texts, known by the sums of their runs' marks."""
    sums = tf.reduce_sum(tf.gather(marks, runs), axis=1)
    return tf.gather(folds, tf.minimum(tf.searchsorted(keys, sums), len(keys) - 1))
