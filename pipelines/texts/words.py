"""Split texts into words, and count the words of a set of texts."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import DataError, Examples

TEXTS_PER_CALL = 2000  # while words or n-grams are counted
MAX_COUNTED_TEXTS = 500_000  # whose words are counted; of more a sample
PADDING, UNKNOWN = 0, 1
# Words of a text that are read: a request with a text of 100,000 words must not take seconds.
MAX_WORDS = 4096
# Longer texts have words enough: of a review n-grams of characters would take most of the time.
MAX_MEAN_BYTES = 300  # of short texts
CONTROLS = r"\x01-\x08\x0e-\x1f\x7f-\x{9f}"
# Besides those of ASCII, where texts are split anyway.
SPACES = r"\x{a0}\x{1680}\x{2000}-\x{200b}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
HEBREW_POINTS = r"\x{591}-\x{5bd}\x{5bf}\x{5c1}\x{5c2}\x{5c4}\x{5c5}\x{5c7}"
ARABIC_MARKS = r"\x{640}\x{64b}-\x{65f}\x{670}"  # and the stroke that lengthens words
# Soft hyphen, joiners, marks of direction, byte order mark; variants and skin tones of emoji.
INVISIBLE = (
    r"\x{ad}\x{61c}\x{200c}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}"
    r"\x{fe00}-\x{fe0f}\x{1f3fb}-\x{1f3ff}"
)
# Regular expressions of RE2 and their replacements, applied in this order.
SPLIT_RULES = (
    (r"&(?:amp|#38);", "&"),
    # U+0092 is the apostrophe of Windows, read as Latin-1.
    (r"&(?:#0*39|#x0*27|apos|rsquo);|\x{92}", "'"),
    # Markup, and other entities.
    (r"</?[a-z][^<>]{0,80}>|&#?[a-z0-9]{2,8};|" + f"[{CONTROLS}{SPACES}]", " "),
    (f"[{HEBREW_POINTS}{ARABIC_MARKS}{INVISIBLE}]", ""),
    # Of a web address the host.
    (r"(?:https?://(?:www\.)?|www\.)([^\s/?#<>\"]+)[!#-;=?-~]*", r" \1 "),
    (r"n['\x{2019}]t\b", " not "),
    # In scripts without spaces between words each character is a word.
    (r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])", r" \1 "),
    # A run of punctuation, or one symbol (an emoji, a currency), is a word.
    (r"(\p{P}+|\p{S})", r" \1 "),
)


def split_words(texts: Any) -> tf.RaggedTensor:
    """Split strings [batch] into lower-case words [batch, (words)], without markup.

    Bytes that are not UTF-8 become the replacement character. docs/text.md says what is done
    with web addresses, emoji, scripts and so on.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    texts = tf.strings.regex_replace(texts, r"\x00", " ")  # where `lower` would end a text
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, rewrite in SPLIT_RULES:
        texts = tf.strings.regex_replace(texts, pattern, rewrite)
    return tf.strings.split(texts)


def limited_words(texts: Any) -> tf.RaggedTensor:
    """Split strings [batch] or [batch, 1] into at most `MAX_WORDS` words each."""
    return head_and_tail(split_words(tf.reshape(texts, [-1])), MAX_WORDS)


def head_and_tail(ragged: tf.RaggedTensor, length: int) -> tf.RaggedTensor:
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


def are_short(train: Examples) -> bool:
    """Return whether texts are short on average, as questions and sentences are."""
    sample = train.sample(TEXTS_PER_CALL).numpy().features
    return bool(np.mean([len(text) for text in sample]) <= MAX_MEAN_BYTES)


def estimate_word_counts(examples: Examples) -> np.ndarray:
    """Estimate the number of words of each text from its spaces and bytes."""
    counts = np.empty(len(examples), "int64")
    for start in range(0, len(examples), TEXTS_PER_CALL):
        block = slice(start, start + TEXTS_PER_CALL)
        texts = examples.numpy(block).features.tolist()
        counts[block] = [max(text.count(b" ") + 1, len(text) // 8) for text in texts]
    return counts


@functools.lru_cache(maxsize=2)
def frequent_words(train: Examples, max_words: int) -> tuple[str, ...]:
    """Return the most frequent words, at most `max_words`; ties are ordered by code point.

    Words that occur once are left out, since a network can only use them to memorise their
    text, unless no word occurs twice. Raises DataError if there is no word.
    """
    counts, train = dict[bytes, int](), train.sample(MAX_COUNTED_TEXTS)
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
