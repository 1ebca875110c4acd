"""Phrase groups equal those of a brute-force search."""

import time

import numpy as np
import pytest

from pipelines.texts import phrases


def slowly(texts):
    """Each text's holder: the longest first, of equals the first, takes all that are free."""
    runs = [text.lower().split() for text in texts]
    runs = [run if len(run) <= phrases.MAX_WORDS else [] for run in runs]
    holder = list(range(len(runs)))
    free = [bool(run) for run in runs]
    for number in sorted(range(len(runs)), key=lambda number: -len(runs[number])):
        if free[number]:
            for k, run in enumerate(runs):
                if free[k] and is_within(run, runs[number]):
                    holder[k], free[k] = number, False
    return holder


def is_within(run, other):
    return any(other[k : k + len(run)] == run for k in range(len(other) - len(run) + 1))


@pytest.mark.parametrize("longest", [4, 9, 70])
@pytest.mark.parametrize("block", [1, 10, 2**18])
def test_equals_the_brute_force_search(longest, block, monkeypatch):
    monkeypatch.setattr(phrases, "WORDS_PER_BLOCK", block)
    phrases._powers.cache_clear()
    random = np.random.default_rng(longest)
    for words in ([b"a"], [b"a", b"b"], [b"a", b"B", b"b", b"c", b"d"]):
        texts = [
            b" ".join(random.choice(words, random.integers(0, longest))) + b" " * (k % 2)
            for k in range(80)
        ]
        found = phrases.find_containing_texts(np.array([*texts, None], object)[:-1])
        assert found.tolist() == slowly(texts)
    phrases._powers.cache_clear()


def test_empty_inputs():
    assert phrases.find_containing_texts(np.array([], object)).tolist() == []
    assert phrases.find_containing_texts(np.array([b"", b" "], object)).tolist() == [0, 1]


def test_copies_of_a_phrase_within_many_texts_take_linear_time():
    def seconds(count):
        texts = [*[b"quite good"] * count, *(b"quite good film %d" % k for k in range(count))]
        column = np.array([*texts, None], object)[:-1]
        start = time.process_time()
        found = phrases.find_containing_texts(column)
        took = time.process_time() - start
        assert (found[:count] == count).all()
        assert (found[count:] == np.arange(count, 2 * count)).all()
        return took

    seconds(500)
    assert seconds(16_000) < 8 * max(seconds(4_000), 0.05)
