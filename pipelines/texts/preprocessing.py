"""The text preprocessing layer: strings to word numbers and n-gram numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import Examples
from pipelines.texts.ngrams import NgramKinds, frequent_ngrams
from pipelines.texts.stored_texts import Texts
from pipelines.texts.words import (
    PADDING,
    TEXTS_PER_CALL,
    head_and_tail,
    limited_words,
)

WORD_BYTES = 4  # of a word number that is stored


@keras.saving.register_keras_serializable("athanor")
class TextVectorizer(keras.layers.Layer):
    """Turn strings [batch] into the inputs of a neural network and of a linear model.

    Returns a dict of two int32 tensors:

    - `words` [batch, time]: word numbers, 1 for unknown words, padded at the end with 0. A text
      longer than `length` keeps its first third and its last two thirds of that length, because
      the end of a text says more than its middle.
    - `ngrams` [batch, any]: numbers of the distinct n-grams of the text (its first `MAX_WORDS`
      words at most), those of words before those of characters. Unknown and repeated ones are 0.

    Args:
        vocabulary: known words, the most frequent first.
        length: words that the network reads.
        kinds: n-grams of the texts; None for none.
        num_ngrams: known n-grams of each kind.

    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        length: int,
        kinds: NgramKinds | Sequence[Any] | None = None,
        num_ngrams: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "int32", **kwargs})
        self.vocabulary, self.length = list(vocabulary), length
        # A saved layer has a list.
        self.kinds = NgramKinds(kinds[0], tuple(kinds[1])) if kinds else None
        self.num_ngrams = list(num_ngrams)
        self.lookup = keras.layers.StringLookup(vocabulary=self.vocabulary, mask_token="")

    def build(self, texts_shape: Any) -> None:  # noqa: ARG002
        """Make the sorted hashes of the known n-grams."""
        self.known = [
            self.add_weight(
                shape=(count,),
                dtype="int64",
                initializer="zeros",
                trainable=False,
                name=f"known_{k}",
            )
            for k, count in enumerate(self.num_ngrams)
        ]

    @classmethod
    def adapted(
        cls,
        train: Examples,
        *,
        vocabulary: Sequence[str],
        length: int,
        kinds: NgramKinds | None = None,
        max_ngrams: int = 0,
    ) -> "TextVectorizer":
        """Make the layer that knows a vocabulary and the frequent n-grams of the training texts."""
        known = []
        if kinds:
            known = frequent_ngrams(train, kinds, max_ngrams).known
        layer = cls(vocabulary, length, kinds, [len(hashes) for hashes in known], name="words")
        layer.build((None,))
        for weight, hashes in zip(layer.known, known, strict=True):
            weight.assign(hashes)
        return layer

    def call(self, texts: Any) -> dict[str, Any]:
        """Turn strings [batch] or [batch, 1] into `words` and `ngrams`."""
        all_words = limited_words(texts)
        inputs = self._without_ngrams(all_words)
        if self.kinds:
            first = 0
            for hashes, known in zip(self.kinds.hashes(all_words), self.known, strict=True):
                if known.shape[0]:
                    numbers = _numbers_of(hashes, known, first)
                    inputs["ngrams"] = tf.concat([inputs["ngrams"], numbers], 1)
                first += known.shape[0]
        return inputs

    def without_ngrams(self, texts: Any) -> dict[str, Any]:
        """Do what `call` does, without n-grams, which a network does not read."""
        return self._without_ngrams(limited_words(texts))

    def _without_ngrams(self, all_words: tf.RaggedTensor) -> dict[str, Any]:
        words = self._numbers(all_words).to_tensor(PADDING)
        # At least one time step: pooling over none has no maximum.
        words = tf.pad(words, [[0, 0], [0, tf.cast(tf.shape(words)[1] == 0, tf.int32)]])
        return {"words": words, "ngrams": tf.zeros([tf.shape(words)[0], 0], tf.int32)}

    def _numbers(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        return head_and_tail(tf.cast(self.lookup(words), tf.int32), self.length)

    def stored_words(self, examples: Examples) -> Examples:
        """Return examples whose features are their word numbers, as bytes, for `decode_words`.

        So no text is split again in every epoch.
        """

        def stored(start: int) -> tuple[np.ndarray, np.ndarray]:
            texts = examples.numpy(slice(start, start + TEXTS_PER_CALL)).features
            numbers = self._numbers(limited_words(tf.constant(texts)))
            values = numbers.values.numpy()
            return values.view("uint8"), numbers.row_splits.numpy() * values.itemsize

        texts = Texts.of_pieces(map(stored, range(0, len(examples), TEXTS_PER_CALL)))
        return dataclasses.replace(Examples.of(texts, examples.targets), weight=examples.weights)

    def compute_output_spec(self, texts: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the specs of two int32 tensors [batch, any]."""
        return {name: keras.KerasTensor((None, None), "int32") for name in ("words", "ngrams")}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`."""
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "length": self.length,
            "kinds": self.kinds,
            "num_ngrams": self.num_ngrams,
        }


def decode_words(stored: Any) -> dict[str, Any]:
    """Turn bytes [batch] of `stored_words` into `words` [batch, time] without n-grams."""
    size = tf.maximum(tf.reduce_max(tf.strings.length(stored)), WORD_BYTES)
    words = tf.io.decode_raw(stored, tf.int32, fixed_length=size)
    return {"words": words, "ngrams": tf.zeros([tf.shape(words)[0], 0], tf.int32)}


def _numbers_of(hashes: Any, known: Any, first: int) -> Any:
    """Turn hashes [batch, any] into numbers above `first`; unknown and repeated ones are 0."""
    known = tf.convert_to_tensor(known)
    flat = tf.reshape(hashes, [-1])
    position = tf.minimum(tf.searchsorted(known, flat), tf.size(known) - 1)
    numbers = tf.where(tf.gather(known, position) == flat, position + 1 + first, 0)
    # Each number counts once: after sorting, repetitions are neighbours.
    ordered = tf.sort(tf.reshape(numbers, tf.shape(hashes)), axis=1)
    repeated = tf.pad(ordered[:, 1:] == ordered[:, :-1], [[0, 0], [1, 0]])
    return tf.where(repeated, 0, ordered)
