"""Layers over words, without effects of padding."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from pipelines.texts.words import PADDING, UNKNOWN

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
class EmbeddingDropout(keras.layers.Layer):
    """In training, sets the vectors of random words to zero, wherever they are in the batch.

    The other vectors are divided by 1 - `rate`. One random choice holds for a whole batch, so
    that the network has to do without a word in all its texts.

    Args:
        rate: fraction of the words of the vocabulary.
        num_words: word numbers, those of padding and of the unknown word too.

    References:
        Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018, section 4.3,
        after Gal and Ghahramani, 2016.

    """

    def __init__(self, rate: float, num_words: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.num_words = rate, num_words
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, vectors: Any, words: Any, training: bool | None = None) -> Any:
        """Vectors [batch, time, n] of words [batch, time] -> [batch, time, n]."""
        if not training or not self.rate:
            return vectors
        ones = tf.ones([self.num_words], vectors.dtype)
        factors = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return vectors * tf.gather(factors, words)[:, :, tf.newaxis]

    def compute_output_spec(self, vectors: Any, words: Any, **_: Any) -> Any:  # noqa: ARG002
        """Floats of the shape of `vectors`."""
        return keras.KerasTensor(vectors.shape, vectors.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"rate": self.rate, "num_words": self.num_words}


@keras.saving.register_keras_serializable("athanor")
class FusedLSTM(keras.layers.Layer):
    """An LSTM over [batch, time, any] by TensorFlow's kernel for whole sequences.

    Without cuDNN Keras runs a loop of some dozen operations a step; on two cores this kernel
    took a third of the time.

    Args:
        width: of the state.
        weight_drop: fraction of the recurrent weights that are zero in a training step. One
            random choice holds for all texts and time steps of a batch, so that the kernel for
            whole sequences can be used.

    References:
        Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997;
        bias 1 on the forget gate: Gers, Schmidhuber and Cummins, 2000;
        weight drop: Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018,
        section 2: DropConnect on the matrices U of the state.

    """

    def __init__(self, width: int, weight_drop: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.width, self.weight_drop = width, weight_drop
        # Saved models without weight drop have no seed.
        self.seed_generator = keras.random.SeedGenerator() if weight_drop else None

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

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """[batch, time, any] -> states [batch, time, width]."""
        recurrent = self.recurrent
        if training and self.weight_drop:
            recurrent = keras.random.dropout(recurrent, self.weight_drop, seed=self.seed_generator)
        by_time = tf.transpose(inputs, [1, 0, 2])
        start = tf.zeros([tf.shape(inputs)[0], self.width])
        peephole = tf.zeros([self.width])
        states = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.shape(by_time, tf.int64)[0],
            x=by_time, cs_prev=start, h_prev=start,
            w=tf.concat([self.kernel, recurrent], 0),
            wci=peephole, wcf=peephole, wco=peephole,
            b=tf.convert_to_tensor(self.bias), cell_clip=0.0, use_peephole=False,
        ).h  # fmt: skip
        return tf.transpose(states, [1, 0, 2])

    def compute_output_spec(self, inputs: Any, **_: Any) -> Any:
        """Floats [batch, time, width]."""
        return keras.KerasTensor((*inputs.shape[:2], self.width), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"width": self.width, "weight_drop": self.weight_drop}


@keras.saving.register_keras_serializable("athanor")
class BidirectionalReader(keras.layers.Layer):
    """Reads each text forwards, and backwards from its last word.

    Padding comes last in both directions, so that it has no effect on the states of words, and
    no mask is needed.

    Args:
        cell: `lstm` or `gru`.
        width: of the state in each direction.
        weight_drop: of an LSTM, see `FusedLSTM`.

    References:
        Schuster and Paliwal, Bidirectional Recurrent Neural Networks, 1997.

    """

    def __init__(self, cell: Cell, width: int, weight_drop: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.cell, self.width, self.weight_drop = cell, width, weight_drop
        self.forwards, self.backwards = (self._reader(name) for name in ("forwards", "backwards"))

    def _reader(self, name: str) -> Any:
        if self.cell == "lstm":
            return FusedLSTM(self.width, self.weight_drop, name=name)
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
        own = {"cell": self.cell, "width": self.width, "weight_drop": self.weight_drop}
        return super().get_config() | own


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
class WindowPooling(keras.layers.Layer):
    """Convolutions over windows of some widths, and the maximum of each over the text.

    Args:
        filters: of each width.
        widths: of the windows, in words.

    References:
        Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014.

    """

    def __init__(self, filters: int, widths: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.widths = filters, list(widths)
        self.convolutions = [
            keras.layers.Conv1D(filters, width, padding="same", name=f"width_{width}")
            for width in self.widths
        ]

    def build(self, vectors_shape: Any, words_shape: Any = None) -> None:  # noqa: ARG002
        """Build the convolutions."""
        for convolution in self.convolutions:
            convolution.build(vectors_shape)

    def call(self, vectors: Any, words: Any) -> Any:
        """Vectors [batch, time, any] of words [batch, time] -> [batch, widths x filters]."""
        real = tf.cast(words != PADDING, vectors.dtype)[:, :, tf.newaxis]
        # After a rectifier zeros of padding change no maximum.
        windows = [
            tf.nn.relu(convolution(vectors * real)) * real for convolution in self.convolutions
        ]
        return tf.concat([tf.reduce_max(one, axis=1) for one in windows], axis=1)

    def compute_output_spec(self, vectors: Any, words: Any) -> Any:  # noqa: ARG002
        """Floats [batch, widths x filters]."""
        size = len(self.widths) * self.filters
        return keras.KerasTensor((vectors.shape[0], size), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"filters": self.filters, "widths": self.widths}
