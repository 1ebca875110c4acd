"""Phrase groups equal those of a brute-force search."""

import time

import numpy as np
import pytest

from pipelines.texts import phrases
from pipelines.texts.stored_texts import Texts


def find_by_brute_force(texts):
    """Assign to each text, the longest first, all texts within it that have no holder yet."""
    sentences = [text.lower().split() for text in texts]
    sentences = [words if len(words) <= phrases.MAX_WORDS else [] for words in sentences]
    holder = list(range(len(sentences)))
    free = [bool(words) for words in sentences]
    for number in sorted(range(len(sentences)), key=lambda number: -len(sentences[number])):
        if free[number]:
            for k, words in enumerate(sentences):
                if free[k] and is_phrase_of(words, sentences[number]):
                    holder[k], free[k] = number, False
    return holder


def is_phrase_of(words, other):
    return any(other[k : k + len(words)] == words for k in range(len(other) - len(words) + 1))


@pytest.mark.parametrize("max_words", [4, 9, 70])
@pytest.mark.parametrize("words_per_block", [1, 10, 2**18])
def test_equals_the_brute_force_search(max_words, words_per_block, monkeypatch):
    monkeypatch.setattr(phrases, "BYTES_PER_BLOCK", words_per_block)
    phrases._powers.cache_clear()
    random = np.random.default_rng(max_words)
    for words in ([b"a"], [b"a", b"b"], [b"a", b"B", b"b", b"c", b"d"]):
        texts = [
            b" ".join(random.choice(words, random.integers(0, max_words))) + b" " * (k % 2)
            for k in range(80)
        ]
        holders = phrases.find_containing_texts(Texts.of(np.array([*texts, None], object)[:-1]))
        assert holders.tolist() == find_by_brute_force(texts)
    phrases._powers.cache_clear()


def test_empty_inputs():
    assert phrases.find_containing_texts(Texts.of(np.array([], object))).tolist() == []
    assert phrases.find_containing_texts(Texts.of(np.array([b"", b" "], object))).tolist() == [0, 1]


def find_copies(count):
    """Return the processor seconds to find `count` copies of a phrase within `count` texts."""
    texts = [*[b"quite good"] * count, *(b"quite good film %d" % k for k in range(count))]
    column = Texts.of(np.array([*texts, None], object)[:-1])
    start = time.process_time()
    holders = phrases.find_containing_texts(column)
    seconds = time.process_time() - start
    assert (holders[:count] == count).all()
    assert (holders[count:] == np.arange(count, 2 * count)).all()
    return seconds


def test_copies_of_a_phrase_within_many_texts_take_linear_time():
    """16 times the texts take about 16 times as long; quadratic time would be 256 times."""
    few, many = (min(find_copies(count) for _ in range(3)) for count in (2_000, 32_000))
    assert many < 64 * few
