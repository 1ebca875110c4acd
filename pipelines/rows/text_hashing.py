"""Hash runs of characters of texts into buckets, by operations that small runtimes have too."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

MAX_CHARACTERS = 512  # of a text that are read
NGRAM_SIZES = range(1, 6)  # characters
# A prime, and a multiplier so small that no product exceeds int32.
NUM_BUCKETS, MULTIPLIER = 65_521, 32_749
NO_BUCKET = 0  # of n-grams that would end after the text
# From here on a character is a syllable or a word. Runs of more than two would be too rare, and
# runs of one or two letters say little.
FIRST_IDEOGRAPH, MAX_IDEOGRAPHS = 0x2E80, 2
TEXTS_PER_CALL = 4096


def to_code_points(texts: Any) -> Any:
    """Turn strings [batch] into lower-case Unicode code points int32 [batch, any], 0 after the end.

    A run of blanks counts as one; a blank stands before and after the text.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", replace_control_characters=True)
    texts = tf.strings.lower(texts, encoding="utf-8")
    texts = tf.strings.strip(tf.strings.regex_replace(texts, r"[\s\x{FFFD}]+", " "))
    texts = tf.where(texts == "", "", tf.strings.join([" ", texts, " "]))
    return tf.strings.unicode_decode(texts, "UTF-8")[:, :MAX_CHARACTERS].to_tensor(0)


def hash_ngrams(code_points: Any) -> Any:
    """Hash runs of 1 and 2 ideographs, and of 3 to 5 other characters.

    int32 [batch, length] -> [batch, sizes x length]. Buckets have the numbers from 1 to
    NUM_BUCKETS; 0 is none. The hash is a polynomial modulo NUM_BUCKETS, so that no product wraps
    around: runtimes differ in that.
    """
    hashes, buckets = tf.ones_like(code_points), []
    has_ideograph = tf.zeros_like(code_points, tf.bool)
    for size in NGRAM_SIZES:
        last = tf.pad(code_points[:, size - 1 :], [[0, 0], [0, size - 1]])
        last = last[:, : tf.shape(code_points)[1]]  # shorter than the n-gram
        hashes = tf.math.floormod(hashes * MULTIPLIER + last, NUM_BUCKETS)
        has_ideograph |= last >= FIRST_IDEOGRAPH
        is_used = (last > 0) & (has_ideograph if size <= MAX_IDEOGRAPHS else ~has_ideograph)
        buckets.append(tf.where(is_used, hashes + 1, NO_BUCKET))
    return tf.concat(buckets, 1)


def bucket_rows(texts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for blocks of texts (bytes) the text of each n-gram and its bucket."""
    for start in range(0, len(texts), TEXTS_PER_CALL):
        block = tf.constant(texts[start : start + TEXTS_PER_CALL].tolist(), tf.string)
        buckets = hash_ngrams(to_code_points(block)).numpy()
        row, place = np.nonzero(buckets)
        yield row + start, buckets[row, place]
