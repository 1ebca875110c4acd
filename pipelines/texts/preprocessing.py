"""Texts as numbers: words, and runs of words, by a layer that goes into the export."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples

CHUNK = 2000  # texts split in one call, while the vocabulary is counted
PADDING, UNKNOWN = 0, 1
BEGIN = 2**31  # stands before the first word of a text, in runs
# Words that the runs are made of, at most: nobody is made to wait for a 100,000-word text.
MOST_WORDS = 4096
# Letters: beginnings of these lengths are what words of one stem share.
BEGINNINGS = (4, 5, 6)
FIRST = 3  # words that also count by their place: questions are known by them
XX_ONE, XX_FIVE = 0x9E3779B185EBCA87 - 2**64, 0x27D4EB2F165667C5
# In the order of use; RE2 syntax.
REWRITES = (
    (r"</?[a-z][^<>]{0,80}>", " "),
    (r"n['\x{2019}]t\b", " not "),
    # Scripts that put no spaces between words are read by the character.
    (r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])", r" \1 "),
    # A run of punctuation, or one symbol (an emoji, a currency), is a word.
    (r"(\p{P}+|\p{S})", r" \1 "),
)


def split(texts: Any) -> tf.RaggedTensor:
    """Strings [batch] -> words [batch, (words)]: lower case, without markup.

    Right for any UTF-8; bytes that are none become a replacement character.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, rewrite in REWRITES:
        texts = tf.strings.regex_replace(texts, pattern, rewrite)
    return tf.strings.split(texts)


def count_words(texts: np.ndarray) -> np.ndarray:
    """Roughly the number of words of each text, from its spaces and bytes."""
    return np.array([max(text.count(b" ") + 1, len(text) // 8) for text in texts], "int64")


@keras.saving.register_keras_serializable("athanor")
class Words(keras.layers.Layer):
    """Strings [batch] -> what a recurrent and a linear model read.

    A dict of `words`, int32 [batch, time]: numbers of words, 1 for unknown
    ones, padded behind with 0; of a text longer than `length` the first third
    and the last two thirds of that are kept, for an end says more than a
    middle. And of `runs`, int32 [batch, any]: the distinct runs of one to `grams`
    words, first words by place and beginnings of words of the whole text (4,096
    words of it at most) by number, those unknown or there before 0.

    Args:
        vocabulary: known words, the most frequent first.
        length: words that the recurrent part reads.
        grams: longest run; 0 for neither runs nor beginnings.
        num_runs: runs and beginnings that have a number.

    """

    def __init__(
        self, vocabulary: Sequence[str], length: int, grams: int, num_runs: int, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "int32", **kwargs})
        self.vocabulary, self.length = list(vocabulary), length
        self.grams, self.num_runs = grams, num_runs
        self.lookup = keras.layers.StringLookup(vocabulary=self.vocabulary, mask_token="")

    def build(self, texts_shape: Any) -> None:  # noqa: ARG002
        """Hashes of the known runs, in order."""
        self.known = self.add_weight(
            shape=(self.num_runs,),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            name="known",
        )

    @classmethod
    def adapted(cls, train: Examples, *, size: int, length: int, grams: int, most: int) -> "Words":
        """The layer with the `size` words and `most` runs that train has most of."""
        vocabulary = most_frequent(train, size)
        known = known_runs(train, size, grams, most)
        layer = cls(vocabulary, length, grams, len(known), name="words")
        layer.build((None,))
        layer.known.assign(known)
        return layer

    def call(self, texts: Any) -> dict[str, Any]:
        """Strings [batch] or [batch, 1] -> words and runs."""
        whole = _words(texts)
        numbers = tf.cast(self.lookup(whole), tf.int32)
        words = _ends(numbers, self.length).to_tensor(PADDING)
        # A time of at least one: pooling over nothing has no maximum.
        words = tf.pad(words, [[0, 0], [0, tf.cast(tf.shape(words)[1] == 0, tf.int32)]])
        return {"words": words, "runs": self._runs(hashed(whole, numbers, self.grams))}

    def _runs(self, hashes: Any) -> Any:
        if not self.num_runs:
            return tf.zeros_like(hashes, tf.int32)
        known = tf.convert_to_tensor(self.known)
        flat = tf.reshape(hashes, [-1])
        place = tf.minimum(tf.searchsorted(known, flat), self.num_runs - 1)
        runs = tf.where(tf.gather(known, place) == flat, place + 1, 0)
        # Every number once: neighbours in order that are the same are the same run.
        ordered = tf.sort(tf.reshape(runs, tf.shape(hashes)), axis=1)
        again = tf.pad(ordered[:, 1:] == ordered[:, :-1], [[0, 0], [1, 0]])
        return tf.where(again, 0, ordered)

    def compute_output_spec(self, texts: Any) -> dict[str, Any]:  # noqa: ARG002
        """Two tensors of int32 [batch, any]."""
        return {name: keras.KerasTensor((None, None), "int32") for name in ("words", "runs")}

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "length": self.length,
            "grams": self.grams,
            "num_runs": self.num_runs,
        }


@functools.lru_cache(maxsize=2)
def most_frequent(train: Examples, size: int) -> tuple[str, ...]:
    """The most frequent words, twice there at least; of equals the first by code point.

    A word that is there once could only be used to know its text by heart; all count
    where no word is there twice. Raises DataError where there is none.
    """
    counts: dict[bytes, int] = {}
    for start in range(0, len(train), CHUNK):
        words = split(tf.constant(train.numpy(slice(start, start + CHUNK)).features)).flat_values
        unique, _, times = tf.unique_with_counts(words)
        for word, count in zip(unique.numpy().tolist(), times.numpy().tolist(), strict=True):
            counts[word] = counts.get(word, 0) + count
    again = [word for word, count in counts.items() if count > 1] or list(counts)
    if not again:
        raise DataError("Received texts without a word; expected words. Check the column: --text.")
    ranked = sorted(again, key=lambda word: (-counts[word], word))
    return tuple(word.decode() for word in ranked[:size])


@functools.lru_cache(maxsize=2)
def known_runs(train: Examples, size: int, grams: int, most: int) -> np.ndarray:
    """Hashes, in order, of the runs that `most` or fewer have more texts of, two at least."""
    if not grams:
        return np.zeros(0, "int64")
    lookup = keras.layers.StringLookup(vocabulary=list(most_frequent(train, size)), mask_token="")
    found = []
    for start in range(0, len(train), CHUNK):
        words = _words(tf.constant(train.numpy(slice(start, start + CHUNK)).features))
        hashes = hashed(words, tf.cast(lookup(words), tf.int32), grams).numpy()
        found += [np.unique(row[row != 0]) for row in hashes]
    distinct, texts_with = np.unique(np.concatenate(found), return_counts=True)
    frequent = np.flatnonzero(texts_with > 1)
    ranked = frequent[np.argsort(-texts_with[frequent], kind="stable")]
    return np.sort(distinct[ranked[:most]])


def hashed(words: tf.RaggedTensor, numbers: tf.RaggedTensor, grams: int) -> Any:
    """Words [batch, (words)] and their numbers -> int64 [batch, any] of runs and beginnings."""
    runs = hash_runs(numbers, grams)
    if not grams:
        return runs
    beginnings = [
        words.with_values(hash_beginnings(words.values, size)).to_tensor(0) for size in BEGINNINGS
    ]
    return tf.concat([runs, hash_first(numbers), *beginnings], 1)


def hash_first(numbers: tf.RaggedTensor) -> Any:
    """Numbers of words [batch, (words)] -> int64 [batch, FIRST] of the first, 0 for none."""
    words = tf.cast(numbers.to_tensor(PADDING, shape=[None, FIRST]), tf.int64)
    hashes = (words + (2 + tf.range(FIRST, dtype=tf.int64)) * XX_FIVE) * XX_ONE
    return tf.where(words == PADDING, tf.zeros_like(hashes), hashes)


def hash_beginnings(words: Any, size: int) -> Any:
    """Strings -> int64 of their first `size` letters; 0 for shorter words."""
    hashes = tf.strings.to_hash_bucket_fast(
        tf.strings.substr(words, 0, size, unit="UTF8_CHAR"), 2**62
    )
    long = tf.strings.length(words, unit="UTF8_CHAR") >= size
    return tf.where(long, (hashes + size) * XX_ONE, tf.zeros_like(hashes))


def hash_runs(numbers: tf.RaggedTensor, grams: int) -> Any:
    """Numbers of words [batch, (words)] -> int64 [batch, any] of the runs of 1 to `grams` words.

    The beginning of a text counts as a word of its runs. Never 0 but where there is no
    run. Two of a million runs agree by chance in one of some ten million cases.
    """
    words = tf.pad(tf.cast(numbers.to_tensor(PADDING), tf.int64), [[0, 0], [0, grams]])
    words = tf.pad(words, [[0, 0], [1, 0]], constant_values=BEGIN)
    size = tf.shape(words)[1] - grams
    run, found = tf.zeros_like(words[:, :size]), []
    for place in range(grams):
        word = words[:, place : place + size]
        # Odd constants (of xxHash) mix the bits; int64 wraps around.
        run = (run + word + XX_FIVE) * XX_ONE
        run = tf.bitwise.bitwise_xor(run, tf.bitwise.right_shift(run, 31))
        known = (word != PADDING) & (word != BEGIN)  # the beginning alone tells nothing
        found.append(tf.where(known, run, tf.zeros_like(run)))
    return tf.concat(found, 1) if found else run[:, :0]


def _words(texts: Any) -> tf.RaggedTensor:
    """Strings [batch] or [batch, 1] -> their words, 4,096 at most."""
    return _ends(split(tf.reshape(texts, [-1])), MOST_WORDS)


def _ends(ragged: tf.RaggedTensor, length: int) -> tf.RaggedTensor:
    """Rows of at most `length`: the first third and the last two thirds of it."""
    head = length // 3
    # By hand: ragged comparisons take seconds to trace.
    rows, sizes = ragged.value_rowids(), ragged.row_lengths()
    place = tf.range(tf.size(rows, tf.int64)) - tf.gather(ragged.row_starts(), rows)
    kept = (place < head) | (place >= tf.gather(sizes, rows) - (length - head))
    return tf.RaggedTensor.from_value_rowids(
        tf.boolean_mask(ragged.values, kept),
        tf.boolean_mask(rows, kept),
        nrows=ragged.nrows(),
        validate=False,
    )
