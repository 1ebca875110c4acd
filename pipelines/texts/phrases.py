"""Find texts that are phrases of other texts, so that a split keeps them together."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.tables.cell_hashes import hash_texts
from pipelines.texts.stored_texts import Texts

MAX_WORDS = 60  # longer texts are not compared
BYTES_PER_BLOCK = 2**20  # of texts that are hashed together
# The first bits of a hash rule out most phrases that are not whole texts.
MIN_FILTER_BITS, MAX_FILTER_BITS, FILTER_PLACES_PER_TEXT = 16, 27, 32
BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 2**64)
# As `bytes.lower` and `bytes.split` have them.
LOWER = np.frombuffer(bytes(range(256)).lower(), "uint8")
IS_BLANK = np.isin(np.arange(256), [*b" \t\n\r\x0b\x0c"])


def find_containing_texts(texts: Texts) -> np.ndarray:
    """Return for each text the index of the longest text that contains it as a phrase, or its own.

    In data sets of sentences and their phrases, such as SST-2, a split by text would put phrases
    of training sentences into validation: its accuracy was 0.93, but 0.82 on new sentences.

    Phrases are sequences of words in lower case, split at blanks. Two with equal hashes count as
    the same. By chance one of 5,000 sets of five million short texts has a wrong pair.
    """
    blocks = [*_hash_whole_texts(texts)]
    hashes, sizes = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    compared = np.flatnonzero(sizes)
    known, first, unit = np.unique(hashes[compared], return_index=True, return_inverse=True)
    first = compared[first]  # of the texts of each hash
    order = np.lexsort((first, -sizes[first]))  # the longest text first
    rank = np.empty(len(known), "int32")
    rank[order] = np.arange(len(known))
    holder_rank, by_text = rank.copy(), np.argsort(first)
    for number, phrase in _phrases(texts.take(first[by_text]), known):
        np.minimum.at(holder_rank, phrase, rank[by_text[number]])
    holder = np.arange(len(texts))
    holder[compared] = first[order[holder_rank[unit]]]
    return holder


def _hash_whole_texts(texts: Texts) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the hashes of texts and their numbers of words, 0 of a text that is not compared."""
    yield np.empty(0, "uint64"), np.empty(0, "int8")
    for block in texts.blocks(BYTES_PER_BLOCK):
        sums, starts, sizes = _split(texts[block])
        yield sums.hashes(starts, sizes), sizes.astype("int8")


def _phrases(texts: Texts, known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield phrases that are shorter than their text and have one of the sorted known hashes.

    They are the index of the text, and the index of the hash.
    """
    places = FILTER_PLACES_PER_TEXT * max(1, len(known))
    bits = min(max(MIN_FILTER_BITS, places.bit_length()), MAX_FILTER_BITS)
    shift = np.uint64(64 - bits)
    may_be_known = np.zeros(2**bits, bool)
    may_be_known[known >> shift] = True
    for block in texts.blocks(BYTES_PER_BLOCK):
        sums, starts, sizes = _split(texts[block])
        number = np.repeat(np.arange(len(sizes)), sizes)
        position = np.arange(len(number)) - starts[number]
        remaining = sizes[number] - position
        for size in range(1, int(sizes.max(initial=0)) + 1):
            first = np.flatnonzero((remaining >= size) & ((position > 0) | (remaining > size)))
            hashes = sums.hashes(first, size)
            likely = np.flatnonzero(may_be_known[hashes >> shift])
            nearest = np.searchsorted(known, hashes[likely]).clip(max=len(known) - 1)
            found = known[nearest] == hashes[likely]
            yield block.start + number[first[likely[found]]], nearest[found]


class PrefixSums(NamedTuple):
    """Prefix sums of word hashes times powers of their positions, modulo 2 ** 64."""

    sums: np.ndarray

    @classmethod
    def of(cls, words: np.ndarray) -> "PrefixSums":
        """Compute the prefix sums of hashes of words."""
        terms = words * _powers(BASE)[: len(words)]
        return cls(np.concatenate([np.zeros(1, "uint64"), np.cumsum(terms)]))

    def hashes(self, first: np.ndarray, size: np.ndarray | int) -> np.ndarray:
        """Hash phrases of `size` words from `first` on, independent of their position."""
        return (self.sums[first + size] - self.sums[first]) * _powers(INVERSE)[first]


def _split(texts: np.ndarray) -> tuple[PrefixSums, np.ndarray, np.ndarray]:
    """Split texts into words: their sums, the first word of each text, and its number of words."""
    content = LOWER[np.frombuffer(b" ".join([*texts, b""]), "uint8")]
    is_blank = IS_BLANK[content]
    filled = np.flatnonzero(~is_blank)
    is_last = is_blank[filled + 1]
    ends = np.concatenate([[0], np.flatnonzero(is_last) + 1])
    words = np.concatenate([np.empty(0, "uint64"), *hash_texts(content[filled], ends)])
    text_ends = np.cumsum([len(text) + 1 for text in texts])
    text_of_word = np.searchsorted(text_ends, filled[is_last], side="right")
    sizes = np.bincount(text_of_word, minlength=len(texts))
    sizes[sizes > MAX_WORDS] = 0
    words = words[sizes[text_of_word] > 0]
    return PrefixSums.of(words), np.cumsum(sizes) - sizes, sizes


@functools.cache
def _powers(base: int) -> np.ndarray:
    """Return the first powers of a base, modulo 2 ** 64."""
    factors = np.full(BYTES_PER_BLOCK + MAX_WORDS + 1, base, "uint64")
    factors[0] = 1
    return np.cumprod(factors)
