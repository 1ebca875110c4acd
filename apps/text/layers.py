"""Recurrent layers without effects of padding, and logistic regression on n-grams as a layer."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from apps.text import ngram_logits
from apps.text.ngram_logits import NUM_FOLDS
from pipelines.texts.preprocessing import PADDING, UNKNOWN

Cell = Literal["lstm", "gru"]


@keras.saving.register_keras_serializable("athanor")
class WordDropout(keras.layers.Layer):
    """In training, replaces random words by the unknown word; padding stays.

    So the network learns to handle unknown words even if the vocabulary has every word of the
    training texts.

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
        chance = keras.random.uniform(tf.shape(words), dtype="float32", seed=self.seed_generator)
        return tf.where((chance < self.rate) & (words != PADDING), UNKNOWN, words)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("athanor")
class FusedLSTM(keras.layers.Layer):
    """An LSTM over [batch, time, any] by TensorFlow's kernel for whole sequences.

    Without cuDNN Keras runs a loop of some dozen operations a step; on two cores this kernel
    took a third of the time.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997;
        bias 1 on the forget gate: Gers, Schmidhuber and Cummins, 2000.

    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.width = width

    def build(self, shape: Any) -> None:
        """Create kernels of input and state, and a bias; gates in Keras's order i, f, c, o."""
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
        """Return the arguments of __init__."""
        return super().get_config() | {"width": self.width}


@keras.saving.register_keras_serializable("athanor")
class BidirectionalReader(keras.layers.Layer):
    """Reads each text forwards, and backwards from its last word.

    Padding comes last in both directions, so that it has no effect on the states of words, and
    no mask is needed.

    Args:
        cell: `lstm` or `gru`.
        width: of the state in each direction.

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
        """Build both recurrent layers."""
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
        """Return the arguments of __init__."""
        return super().get_config() | {"cell": self.cell, "width": self.width}


@keras.saving.register_keras_serializable("athanor")
class MaskedMeanMaxPooling(keras.layers.Layer):
    """Mean and maximum over the words of a text, without padding; zeros for an empty text."""

    def call(self, vectors: Any, words: Any) -> Any:
        """Vectors [batch, time, n] of words [batch, time] -> [batch, 2 n]."""
        real = (words != PADDING)[:, :, tf.newaxis]
        count = tf.reduce_sum(tf.cast(real, vectors.dtype), axis=1)
        mean = tf.reduce_sum(tf.where(real, vectors, 0.0), axis=1) / tf.maximum(count, 1.0)
        maximum = tf.reduce_max(tf.where(real, vectors, vectors.dtype.min), axis=1)
        return tf.concat([mean, tf.where(count > 0, maximum, 0.0)], axis=-1)

    def compute_output_spec(self, vectors: Any, words: Any) -> Any:  # noqa: ARG002
        """Floats [batch, 2 n]."""
        return keras.KerasTensor((vectors.shape[0], 2 * vectors.shape[-1]), "float32")


@keras.saving.register_keras_serializable("athanor")
class NgramLogits(keras.layers.Layer):
    """Logistic regression on TF-IDF weighted n-grams, solved before training.

    The idf of an n-gram is 1 + ln(texts / texts with it), with 1 added to both numbers; the
    weights of a text have length 1. Training texts get out-of-fold logits, so that the LSTM
    sees realistic errors. A scale of the logits is trained on. For two classes there is one
    column, for the second class and against the first.

    Args:
        num_ngrams: n-grams with a number, from 1; 0 is none.
        num_classes: logits.

    """

    def __init__(self, num_ngrams: int, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_ngrams, self.num_classes = num_ngrams, num_classes
        # A hash for each n-gram; the sorted hashes of the training texts, and their folds.
        self.fold_hashes: tuple | None = None

    def build(self, ngrams_shape: Any) -> None:  # noqa: ARG002
        """Create the weights that `solve` assigns, and the scale that training changes."""
        columns = 1 if self.num_classes == 2 else self.num_classes
        shapes = {
            "idf": (self.num_ngrams + 1,),
            "table": (1 + NUM_FOLDS, self.num_ngrams + 1, columns),
            "bias": (1 + NUM_FOLDS, columns),
        }
        for name, shape in shapes.items():
            weight = self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            setattr(self, name, weight)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def solve(self, batches: Any, positions: np.ndarray) -> None:
        """Fit the regressions.

        Args:
            batches: pairs of numbers of n-grams and class numbers.
            positions: of each text, in [0, 1); texts of one position share a fold.

        """
        corpus = ngram_logits.to_corpus(batches, self.num_ngrams + 1)
        folds = (positions * 2**32).astype("int64") % NUM_FOLDS
        hashes = np.random.default_rng(0).integers(2**62, size=self.num_ngrams + 1)
        hashes[PADDING] = 0
        texts, first = np.unique(ngram_logits.text_hashes(corpus, hashes), return_index=True)
        self.fold_hashes = tuple(map(tf.constant, (hashes, texts, folds[first].astype("int32"))))
        solution = ngram_logits.solve(corpus, folds, self.num_classes)
        self.idf.assign(solution.idf)
        self.table.assign(solution.idf[:, np.newaxis] * solution.coefficients)
        self.bias.assign(solution.bias)
        self.scale.assign(solution.scale)

    def call(self, ngrams: Any, training: bool | None = None) -> Any:
        """Numbers of n-grams [batch, any] -> logits [batch, num_classes]."""
        ngrams = tf.cast(ngrams, tf.int32)
        regression = tf.zeros([tf.shape(ngrams)[0]], tf.int32)
        if training and self.fold_hashes is not None:
            regression = 1 + _folds(ngrams, *self.fold_hashes)
        positions = tf.where(ngrams != PADDING)
        numbers, rows = tf.gather_nd(ngrams, positions), tf.cast(positions[:, 0], tf.int32)
        table = tf.convert_to_tensor(self.table)
        # Sums without a tensor of [batch, n-grams, classes], which long texts would make huge.
        total = tf.raw_ops.SparseSegmentSumWithNumSegments(
            data=tf.reshape(table, [-1, table.shape[-1]]),
            indices=tf.gather(regression, rows) * (self.num_ngrams + 1) + numbers,
            segment_ids=rows,
            num_segments=tf.shape(ngrams)[0],
        )
        squares = tf.square(tf.gather(self.idf, numbers))
        length = tf.sqrt(tf.math.unsorted_segment_sum(squares, rows, tf.shape(ngrams)[0]))
        bias = tf.gather(self.bias, regression)
        logits = tf.math.divide_no_nan(total, length[:, tf.newaxis]) + bias
        logits *= self.scale
        return tf.concat([-logits, logits], axis=1) if self.num_classes == 2 else logits

    def compute_output_spec(self, ngrams: Any) -> Any:
        """Floats [batch, num_classes]."""
        return keras.KerasTensor((ngrams.shape[0], self.num_classes), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        config = {"num_ngrams": self.num_ngrams, "num_classes": self.num_classes}
        return super().get_config() | config


def _folds(ngrams: Any, hashes: Any, texts: Any, folds: Any) -> Any:
    """Return the folds of training texts, found by the sums of their n-grams' hashes."""
    sums = tf.reduce_sum(tf.gather(hashes, ngrams), axis=1)
    return tf.gather(folds, tf.minimum(tf.searchsorted(texts, sums), len(texts) - 1))
