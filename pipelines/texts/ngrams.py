"""N-grams of words and of characters: their hashes in a graph, and the frequent ones of texts."""

import functools
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import tensorflow as tf
from scipy import sparse

from pipelines.examples import Examples
from pipelines.texts.words import PADDING, are_short, limited_words

MAX_CHARACTERS = 16_384  # of a text, whose n-grams are read
TEXTS_PER_BLOCK = 500  # hashed together: the longest one sets the size of all
# Of n-grams in the texts that are counted, some gigabytes, and in texts to validate with.
MAX_OCCURRENCES, MAX_VALIDATION_OCCURRENCES = 40_000_000, 10_000_000
START = 2**62 + 1  # the number that n-grams of words have before the first word of a text
CHARACTER_SALT = 7  # keeps hashes of characters and of words apart
XXHASH_PRIME_1, XXHASH_PRIME_5 = 0x9E3779B185EBCA87 - 2**64, 0x27D4EB2F165667C5


class NgramKinds(NamedTuple):
    """Which n-grams of a text are features.

    Attributes:
        words: length of the longest n-gram of words.
        characters: lengths of the shortest and the longest n-gram of characters; () for none.

    """

    words: int
    characters: tuple[int, ...] = ()

    @classmethod
    def of(cls, train: Examples, words: int, num_classes: int) -> "NgramKinds":
        """Take n-grams of characters if the training texts are short on average.

        Longer ones helped to tell two opinions, shorter ones to tell many intents.
        """
        characters = (3, 6) if num_classes == 2 else (2, 4)
        return cls(words, characters if are_short(train) else ())

    @property
    def number(self) -> int:
        """The number of kinds."""
        return 2 if self.characters else 1

    def hashes(self, words: tf.RaggedTensor) -> list[Any]:
        """Hash the n-grams of words [batch, (words)]: one int64 [batch, any] of each kind.

        0 is none; an n-gram may occur several times.
        """
        kinds = [hash_word_ngrams(words, self.words)]
        if self.characters:
            kinds.append(hash_character_ngrams(words, *self.characters))
        return kinds


class Corpus(NamedTuple):
    """The frequent n-grams of training texts.

    Attributes:
        texts: the texts that were counted.
        known: sorted hashes of the n-grams, an array of each kind.
        present: which text has which n-gram, sparse float32 [texts, n-grams of all kinds].

    """

    texts: Examples
    known: list[np.ndarray]
    present: Any


def hash_word_ngrams(words: tf.RaggedTensor, longest: int) -> Any:
    """Hash the n-grams of 1 to `longest` words, with the start of the text as a word.

    Two of a million n-grams have the same hash by chance in about one of ten million cases.
    """
    numbers = words.with_values(tf.strings.to_hash_bucket_fast(words.values, 2**62))
    units = tf.pad(numbers.to_tensor(PADDING), [[0, 0], [1, 0]], constant_values=START)
    return _hash_ngrams(units, 1, longest)


def hash_character_ngrams(words: tf.RaggedTensor, shortest: int, longest: int) -> Any:
    """Hash the n-grams of characters of the words, joined by single spaces."""
    joined = tf.strings.reduce_join(words, axis=-1, separator=" ")
    joined = tf.strings.join([" ", tf.strings.substr(joined, 0, MAX_CHARACTERS, "UTF8_CHAR"), " "])
    code_points = tf.strings.unicode_decode(joined, "UTF-8").to_tensor(PADDING)
    units = tf.cast(code_points, tf.int64)
    return _hash_ngrams(units, shortest, longest, CHARACTER_SALT)


def _hash_ngrams(units: Any, shortest: int, longest: int, salt: int = 0) -> Any:
    """Hash all n-grams of units [batch, time], int64, padded with 0: int64 [batch, any]."""
    size = tf.shape(units)[1]
    padded = tf.pad(units, [[0, 0], [0, longest - 1]])
    ngram, hashes = tf.fill(tf.shape(units), tf.constant(salt, tf.int64)), []
    for position in range(longest):
        unit = padded[:, position : position + size]
        # Odd constants (of xxHash) mix the bits; int64 wraps around.
        ngram = (ngram + unit + XXHASH_PRIME_5) * XXHASH_PRIME_1
        ngram = tf.bitwise.bitwise_xor(ngram, tf.bitwise.right_shift(ngram, 31))
        if position + 1 >= shortest:
            is_ngram = (unit != PADDING) & (unit != START)
            hashes.append(tf.where(is_ngram, ngram, tf.zeros_like(ngram)))
    return tf.concat(hashes, 1)


@functools.lru_cache(maxsize=1)
def frequent_ngrams(train: Examples, kinds: NgramKinds, max_ngrams: int) -> Corpus:
    """Find the n-grams of each kind that are in two training texts or more.

    At most the `max_ngrams` in most texts, those of several kinds together; those of one text if
    there are no others. If the texts have more than about `MAX_OCCURRENCES` n-grams, a sample of
    them is counted.
    """
    train = sample_by_ngrams(train, kinds, MAX_OCCURRENCES)
    corpus = _ngrams_in(train, kinds, max_ngrams, min_texts=2)
    if corpus.present.shape[1]:
        return corpus
    return _ngrams_in(train, kinds, max_ngrams, min_texts=1)


def _ngrams_in(train: Examples, kinds: NgramKinds, max_ngrams: int, min_texts: int) -> Corpus:
    known, present = [], []
    for rows, hashes in _occurrences(train, kinds):
        encoded = pa.array(hashes).dictionary_encode()
        distinct = encoded.dictionary.to_numpy()
        matrix = _presence(rows, encoded.indices.to_numpy(), (len(train), len(distinct)))
        in_texts = np.bincount(matrix.indices, minlength=len(distinct))
        frequent = np.flatnonzero(in_texts >= min_texts)
        order = np.lexsort((distinct[frequent], -in_texts[frequent]))
        kept = frequent[order[: max_ngrams // kinds.number]]
        kept = kept[np.argsort(distinct[kept])]
        known.append(distinct[kept])
        present.append(matrix[:, kept])
    return Corpus(train, known, sparse.hstack(present, format="csr"))


def ngrams_of(examples: Examples, kinds: NgramKinds, known: list[np.ndarray]) -> Any:
    """Return which text has which known n-gram, as `Corpus.present`."""
    parts = []
    for (rows, hashes), sorted_hashes in zip(_occurrences(examples, kinds), known, strict=True):
        shape = (len(examples), len(sorted_hashes))
        if not len(sorted_hashes):
            parts.append(sparse.csr_matrix(shape, dtype="float32"))
            continue
        position = np.searchsorted(sorted_hashes, hashes).clip(max=len(sorted_hashes) - 1)
        found = sorted_hashes[position] == hashes
        parts.append(_presence(rows[found], position[found], shape))
    return sparse.hstack(parts, format="csr")


def sample_by_ngrams(examples: Examples, kinds: NgramKinds, max_occurrences: int) -> Examples:
    """Return the texts, or a sample with about as many occurrences of n-grams."""
    sample = examples.sample(TEXTS_PER_BLOCK)
    count = sum(len(hashes) for _, hashes in _occurrences(sample, kinds))
    return examples.sample(int(max_occurrences / max(1, count) * len(sample)))


def _occurrences(examples: Examples, kinds: NgramKinds) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each kind the texts and the hashes of all n-grams in them, with repetitions."""
    blocks = []
    for start in range(0, len(examples), TEXTS_PER_BLOCK):
        texts = examples.numpy(slice(start, start + TEXTS_PER_BLOCK)).features
        block = []
        for hashes in kinds.hashes(limited_words(tf.constant(texts))):
            rows, columns = np.nonzero(array := hashes.numpy())
            block.append(((rows + start).astype("int32"), array[rows, columns]))
        blocks.append(block)
    return [
        (np.concatenate([rows for rows, _ in kind]), np.concatenate([each for _, each in kind]))
        for kind in zip(*blocks, strict=True)
    ]


def _presence(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    matrix = sparse.csr_matrix((np.ones(len(rows), "float32"), (rows, columns)), shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
