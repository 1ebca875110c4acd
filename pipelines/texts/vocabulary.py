"""The words that a network knows, and their vectors from a file."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples
from pipelines.texts.vectors import read_vectors
from pipelines.texts.words import PADDING, frequent_words, split_words

DEVIATION = 0.3  # of all numbers of the vectors of a file, after scaling
NUM_SPECIAL = 2  # padding and the unknown word


class Vocabulary(NamedTuple):
    """The words that a network knows.

    Attributes:
        words: the most frequent words of training texts, then other words of a file of vectors.
        vectors: of padding, of the unknown word and of the words, float32; None without a file.
        num_frequent: words of the training texts.
        num_found: those of them that the file has.
        digest: of the file.

    """

    words: tuple[str, ...]
    vectors: np.ndarray | None = None
    num_frequent: int = 0
    num_found: int = 0
    digest: str = ""

    @classmethod
    def of(cls, train: Examples, max_words: int, path: str = "") -> "Vocabulary":
        """Take the most frequent words of training texts, and words of a file up to `max_words`.

        Raises DataError if there is no word, or if the file is unusable.
        """
        if path:
            return _with_vectors(train, max_words, path)
        return cls(frequent_words(train, max_words))

    def describe(self) -> str:
        """Say how many words have vectors of the file."""
        others = len(self.words) - self.num_frequent
        return (
            f"{self.num_found:,} of {self.num_frequent:,} words of the training texts begin with "
            f"vectors of the file, which adds {others:,} words"
        )


@functools.lru_cache(maxsize=1)
def _with_vectors(train: Examples, max_words: int, path: str) -> Vocabulary:
    frequent = frequent_words(train, max_words)
    room = max_words - len(frequent)
    # Some words of a file are several for us, such as `u.s.`, and are left out.
    vectors, digest = read_vectors(path, frequent, 2 * room)
    num_found = sum(word in vectors for word in frequent)
    if not num_found:
        raise DataError(
            f"Received --vectors {path!r}, which has none of the {len(frequent)} words of the "
            f"training texts, such as {frequent[0]!r}; expected vectors of words of the same "
            "language. Name another file, or leave it out."
        )
    known = {*frequent}
    others = _single_words([word for word in vectors if word not in known])[:room]
    words = (*frequent, *others)
    return Vocabulary(words, _table(words, vectors), len(frequent), num_found, digest)


def _single_words(words: list[str]) -> list[str]:
    """Return the words that remain one word if texts are split."""
    if not words:
        return []
    split = split_words(tf.constant(words))
    same = (split.row_lengths() == 1) & (split[:, :1].to_tensor("", (None, 1))[:, 0] == words)
    return [word for word, is_same in zip(words, same.numpy(), strict=True) if is_same]


def _table(words: tuple[str, ...], vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Return scaled vectors of padding, of the unknown word and of words; some are random."""
    size = len(next(iter(vectors.values())))
    table = np.random.default_rng(0).normal(0, DEVIATION, (NUM_SPECIAL + len(words), size))
    rows = [row for row, word in enumerate(words, NUM_SPECIAL) if word in vectors]
    found = np.stack([vectors[words[row - NUM_SPECIAL]] for row in rows])
    table[rows] = found * (DEVIATION / max(float(found.std()), 1e-12))
    table[PADDING] = 0
    return table.astype("float32")
