"""The text preprocessing layer: strings to word numbers and n-gram numbers."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples

TEXTS_PER_CALL = 2000  # while the vocabulary is counted
PADDING, UNKNOWN = 0, 1
TEXT_START = 2**31  # the word number that n-grams have before the first word of a text
# Words of a text that are read: a request with a text of 100,000 words must not take seconds.
MAX_WORDS = 4096
PREFIX_LENGTHS = (4, 5, 6)  # characters; words of one stem share such a prefix
NUM_FIRST_WORDS = 3  # words that also count by position: they tell the kind of a question
XXHASH_PRIME_1, XXHASH_PRIME_5 = 0x9E3779B185EBCA87 - 2**64, 0x27D4EB2F165667C5
# Regular expressions of RE2 and their replacements, applied in this order.
SPLIT_RULES = (
    (r"</?[a-z][^<>]{0,80}>", " "),
    (r"n['\x{2019}]t\b", " not "),
    # In scripts without spaces between words each character is a word.
    (r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])", r" \1 "),
    # A run of punctuation, or one symbol (an emoji, a currency), is a word.
    (r"(\p{P}+|\p{S})", r" \1 "),
)


def split_words(texts: Any) -> tf.RaggedTensor:
    """Split strings [batch] into lower-case words [batch, (words)], without markup.

    Bytes that are not UTF-8 become the replacement character.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, rewrite in SPLIT_RULES:
        texts = tf.strings.regex_replace(texts, pattern, rewrite)
    return tf.strings.split(texts)


def estimate_word_counts(texts: np.ndarray) -> np.ndarray:
    """Estimate the number of words of each text from its spaces and bytes."""
    return np.array([max(text.count(b" ") + 1, len(text) // 8) for text in texts], "int64")


@keras.saving.register_keras_serializable("athanor")
class TextVectorizer(keras.layers.Layer):
    """Turn strings [batch] into the inputs of a recurrent and of a linear model.

    Returns a dict of two int32 tensors:

    - `words` [batch, time]: word numbers, 1 for unknown words, padded at the end with 0. A text
      longer than `length` keeps its first third and its last two thirds of that length, because
      the end of a text says more than its middle.
    - `ngrams` [batch, any]: numbers of the distinct features of the text (its first `MAX_WORDS`
      words at most): n-grams of 1 to `grams` words, the first words with their position, and
      prefixes of words. Unknown and repeated features are 0.

    Args:
        vocabulary: known words, the most frequent first.
        length: words that the recurrent part reads.
        grams: words of the longest n-gram; 0 leaves out n-grams and prefixes.
        num_ngrams: n-grams, first words and prefixes that have a number.

    """

    def __init__(
        self, vocabulary: Sequence[str], length: int, grams: int, num_ngrams: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "int32", **kwargs})
        self.vocabulary, self.length = list(vocabulary), length
        self.grams, self.num_ngrams = grams, num_ngrams
        self.lookup = keras.layers.StringLookup(vocabulary=self.vocabulary, mask_token="")

    def build(self, texts_shape: Any) -> None:  # noqa: ARG002
        """Make the sorted hashes of the known n-grams."""
        self.known = self.add_weight(
            shape=(self.num_ngrams,),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            name="known",
        )

    @classmethod
    def adapted(
        cls, train: Examples, *, max_words: int, length: int, grams: int, max_ngrams: int
    ) -> "TextVectorizer":
        """Make the layer that knows the most frequent words and n-grams of the training texts."""
        vocabulary = frequent_words(train, max_words)
        known = frequent_ngrams(train, max_words, grams, max_ngrams)
        layer = cls(vocabulary, length, grams, len(known), name="words")
        layer.build((None,))
        layer.known.assign(known)
        return layer

    def call(self, texts: Any) -> dict[str, Any]:
        """Turn strings [batch] or [batch, 1] into `words` and `ngrams`."""
        all_words = _limited_words(texts)
        numbers = tf.cast(self.lookup(all_words), tf.int32)
        words = _head_and_tail(numbers, self.length).to_tensor(PADDING)
        # At least one time step: pooling over none has no maximum.
        words = tf.pad(words, [[0, 0], [0, tf.cast(tf.shape(words)[1] == 0, tf.int32)]])
        hashes = hash_ngrams_and_prefixes(all_words, numbers, self.grams)
        return {"words": words, "ngrams": self._known_ngrams(hashes)}

    def _known_ngrams(self, hashes: Any) -> Any:
        if not self.num_ngrams:
            return tf.zeros_like(hashes, tf.int32)
        known = tf.convert_to_tensor(self.known)
        flat = tf.reshape(hashes, [-1])
        position = tf.minimum(tf.searchsorted(known, flat), self.num_ngrams - 1)
        ngrams = tf.where(tf.gather(known, position) == flat, position + 1, 0)
        # Each number counts once: after sorting, repetitions are neighbours.
        ordered = tf.sort(tf.reshape(ngrams, tf.shape(hashes)), axis=1)
        repeated = tf.pad(ordered[:, 1:] == ordered[:, :-1], [[0, 0], [1, 0]])
        return tf.where(repeated, 0, ordered)

    def compute_output_spec(self, texts: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the specs of two int32 tensors [batch, any]."""
        return {name: keras.KerasTensor((None, None), "int32") for name in ("words", "ngrams")}

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`."""
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "length": self.length,
            "grams": self.grams,
            "num_ngrams": self.num_ngrams,
        }


@functools.lru_cache(maxsize=2)
def frequent_words(train: Examples, max_words: int) -> tuple[str, ...]:
    """Return the most frequent words, at most `max_words`; ties are ordered by code point.

    Words that occur once are left out, since a network can only use them to memorise their
    text, unless no word occurs twice. Raises DataError if there is no word.
    """
    counts: dict[bytes, int] = {}
    for start in range(0, len(train), TEXTS_PER_CALL):
        texts = train.numpy(slice(start, start + TEXTS_PER_CALL)).features
        unique, _, times = tf.unique_with_counts(split_words(tf.constant(texts)).flat_values)
        for word, count in zip(unique.numpy().tolist(), times.numpy().tolist(), strict=True):
            counts[word] = counts.get(word, 0) + count
    repeated = [word for word, count in counts.items() if count > 1] or list(counts)
    if not repeated:
        raise DataError("Received texts without a word; expected words. Check the column: --text.")
    ranked = sorted(repeated, key=lambda word: (-counts[word], word))
    return tuple(word.decode() for word in ranked[:max_words])


@functools.lru_cache(maxsize=2)
def frequent_ngrams(train: Examples, max_words: int, grams: int, max_ngrams: int) -> np.ndarray:
    """Return sorted hashes of the top `max_ngrams` n-grams by document frequency (at least 2)."""
    if not grams:
        return np.zeros(0, "int64")
    vocabulary = list(frequent_words(train, max_words))
    lookup = keras.layers.StringLookup(vocabulary=vocabulary, mask_token="")
    distinct_of_texts = []
    for start in range(0, len(train), TEXTS_PER_CALL):
        texts = train.numpy(slice(start, start + TEXTS_PER_CALL)).features
        words = _limited_words(tf.constant(texts))
        hashes = hash_ngrams_and_prefixes(words, tf.cast(lookup(words), tf.int32), grams).numpy()
        distinct_of_texts += [np.unique(row[row != 0]) for row in hashes]
    ngrams, num_texts = np.unique(np.concatenate(distinct_of_texts), return_counts=True)
    frequent = np.flatnonzero(num_texts > 1)
    ranked = frequent[np.argsort(-num_texts[frequent], kind="stable")]
    return np.sort(ngrams[ranked[:max_ngrams]])


def hash_ngrams_and_prefixes(words: tf.RaggedTensor, numbers: tf.RaggedTensor, grams: int) -> Any:
    """Hash n-grams, first words and prefixes of words [batch, (words)]: int64 [batch, any]."""
    ngrams = hash_ngrams(numbers, grams)
    if not grams:
        return ngrams
    prefixes = [
        words.with_values(hash_prefixes(words.values, length)).to_tensor(0)
        for length in PREFIX_LENGTHS
    ]
    return tf.concat([ngrams, hash_first_words(numbers), *prefixes], 1)


def hash_first_words(numbers: tf.RaggedTensor) -> Any:
    """Hash the first words with their position: int64 [batch, NUM_FIRST_WORDS], 0 for none."""
    words = tf.cast(numbers.to_tensor(PADDING, shape=[None, NUM_FIRST_WORDS]), tf.int64)
    hashes = (
        words + (2 + tf.range(NUM_FIRST_WORDS, dtype=tf.int64)) * XXHASH_PRIME_5
    ) * XXHASH_PRIME_1
    return tf.where(words == PADDING, tf.zeros_like(hashes), hashes)


def hash_prefixes(words: Any, length: int) -> Any:
    """Hash the first `length` characters of each word, int64; 0 for shorter words."""
    hashes = tf.strings.to_hash_bucket_fast(
        tf.strings.substr(words, 0, length, unit="UTF8_CHAR"), 2**62
    )
    is_long = tf.strings.length(words, unit="UTF8_CHAR") >= length
    return tf.where(is_long, (hashes + length) * XXHASH_PRIME_1, tf.zeros_like(hashes))


def hash_ngrams(numbers: tf.RaggedTensor, grams: int) -> Any:
    """Hash the n-grams of 1 to `grams` words of word numbers [batch, (words)]: int64 [batch, any].

    The start of a text counts as a word. Only padding gives 0. Among a million n-grams two have
    the same hash by chance in about one of ten million cases.
    """
    words = tf.pad(tf.cast(numbers.to_tensor(PADDING), tf.int64), [[0, 0], [0, grams]])
    words = tf.pad(words, [[0, 0], [1, 0]], constant_values=TEXT_START)
    size = tf.shape(words)[1] - grams
    ngram, hashes = tf.zeros_like(words[:, :size]), []
    for position in range(grams):
        word = words[:, position : position + size]
        # Odd constants (of xxHash) mix the bits; int64 wraps around.
        ngram = (ngram + word + XXHASH_PRIME_5) * XXHASH_PRIME_1
        ngram = tf.bitwise.bitwise_xor(ngram, tf.bitwise.right_shift(ngram, 31))
        ends_in_word = (word != PADDING) & (word != TEXT_START)
        hashes.append(tf.where(ends_in_word, ngram, tf.zeros_like(ngram)))
    return tf.concat(hashes, 1) if hashes else ngram[:, :0]


def _limited_words(texts: Any) -> tf.RaggedTensor:
    """Split strings [batch] or [batch, 1] into at most `MAX_WORDS` words each."""
    return _head_and_tail(split_words(tf.reshape(texts, [-1])), MAX_WORDS)


def _head_and_tail(ragged: tf.RaggedTensor, length: int) -> tf.RaggedTensor:
    """Shorten rows to `length`: the first third of it and the last two thirds."""
    head = length // 3
    # Without ragged comparisons, which take seconds to trace.
    rows, sizes = ragged.value_rowids(), ragged.row_lengths()
    position = tf.range(tf.size(rows, tf.int64)) - tf.gather(ragged.row_starts(), rows)
    kept = (position < head) | (position >= tf.gather(sizes, rows) - (length - head))
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(ragged.values, kept),
        tf.boolean_mask(rows, kept),
        nrows=ragged.nrows(),
        validate=False,
    )
