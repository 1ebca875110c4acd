"""Which texts are phrases of others: their words are there in a run."""

import array
import functools
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LONGEST = 60  # words of texts that are looked for within others, and looked into
BLOCK = 2**18  # words whose runs are hashed together
BITS = 24  # of a hash, by which most runs are known to be no text
BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 2**64)
MIX = np.uint64(0xBF58476D1CE4E5B9)


def containing(texts: np.ndarray) -> np.ndarray:
    """For each text the number of the longest that holds its words in a run: itself, or another.

    In sets made of sentences and their phrases, such as SST-2, a cut by text would
    judge phrases of sentences known from training: with it the validation score was
    0.93 where new sentences gave 0.82.

    The hash of a run is the sum of those of its words, each times a power of its place:
    of sums from the beginning it is a difference. What agrees by its hash is compared.
    """
    runs = Runs.of(texts)
    hashes = np.concatenate([np.empty(0, "uint64"), *runs.whole()])
    pieces = np.concatenate([np.empty((0, 4), "int64"), *runs.pieces(hashes)])
    once, where, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    concerned = (counts > 1) | np.isin(once, pieces[:, 3].astype("uint64"))
    alike = defaultdict(list)
    for number in np.flatnonzero(concerned[where] & (runs.sizes > 0)).tolist():
        alike[runs.words_of(number, 0, runs.sizes.item(number))].append(number)
    return _held(runs, pieces[:, :3], alike)


def _held(runs: "Runs", pieces: np.ndarray, alike: dict[bytes, list[int]]) -> np.ndarray:
    """The longest comes first and takes all that are not taken."""
    inside = defaultdict(set)
    for key, numbers in alike.items():
        for number in numbers:
            inside[number].add(key)
    for number, start, size in pieces.tolist():
        inside[number].add(runs.words_of(number, start, size))
    holder = np.arange(len(runs.sizes))
    free = np.ones(len(holder), bool)
    for number in sorted(inside, key=lambda number: (-runs.sizes.item(number), number)):
        if free[number]:
            for key in inside[number]:
                # The first holder takes all that are free, so nobody has to look again.
                taken = [k for k in alike.pop(key, ()) if free[k]]
                holder[taken], free[taken] = number, False
    return holder


class Runs(NamedTuple):
    """Texts as numbers of words, one after the other; none of a text that is too long.

    Attributes:
        words: of all texts.
        starts: of each text.
        sizes: words of each text.

    """

    words: array.array
    starts: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, texts: np.ndarray) -> "Runs":
        """Words are what blanks part, whatever their case."""
        known: dict[bytes, int] = {}
        words, sizes = array.array("i"), np.zeros(len(texts), "int64")
        for number, text in enumerate(texts):
            run = text.lower().split(None, LONGEST)
            if len(run) <= LONGEST:
                words.extend([known.setdefault(word, len(known)) for word in run])
                sizes[number] = len(run)
        return cls(words, np.cumsum(sizes) - sizes, sizes)

    def words_of(self, number: int, start: int, size: int) -> bytes:
        """A run of a text, to be compared."""
        begin = self.starts.item(number) + start
        return self.words[begin : begin + size].tobytes()

    def blocks(self) -> Iterator[tuple[int, int, "Sums"]]:
        """Some texts at a time, their first and last number, and the sums of their words."""
        start = 0
        while start < len(self.sizes):
            begin = self.starts[start]
            stop = int(np.searchsorted(self.starts, begin + BLOCK, side="right"))
            end = self.starts[stop - 1] + self.sizes[stop - 1]
            yield start, stop, Sums.of(np.asarray(self.words[begin:end]))
            start = stop

    def whole(self) -> Iterator[np.ndarray]:
        """The hash of each text."""
        for start, stop, sums in self.blocks():
            first = self.starts[start:stop] - self.starts[start]
            yield sums.hashes(first, self.sizes[start:stop])

    def pieces(self, hashes: np.ndarray) -> Iterator[np.ndarray]:
        """Runs that are shorter than their text and have the hash of another one.

        Number of the text, first word there, words, and hash: int64 [pieces, 4].
        """
        known = np.unique(hashes[self.sizes > 0])
        table = np.zeros(2**BITS, bool)
        table[known >> np.uint64(64 - BITS)] = True
        lengths = np.unique(self.sizes[self.sizes > 0]).tolist()
        for start, stop, sums in self.blocks():
            sizes = self.sizes[start:stop]
            number = np.repeat(np.arange(start, stop), sizes)
            place = np.arange(len(number)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            left = self.sizes[number] - place
            for size in lengths:
                first = np.flatnonzero((left >= size) & ((place > 0) | (left > size)))
                own = sums.hashes(first, size)
                likely = np.flatnonzero(table[own >> np.uint64(64 - BITS)])
                near = np.searchsorted(known, own[likely]).clip(max=len(known) - 1)
                likely = likely[known[near] == own[likely]]
                first, own = first[likely], own[likely].astype("int64")
                yield np.stack([number[first], place[first], np.full_like(own, size), own], 1)


class Sums(NamedTuple):
    """Of words, each times a power of its place, the sums of the first 0, 1, 2, ..."""

    sums: np.ndarray

    @classmethod
    def of(cls, words: np.ndarray) -> "Sums":
        """Modulo 2 ** 64."""
        mixed = (words.astype("uint64") + np.uint64(1)) * MIX
        mixed = (mixed ^ (mixed >> np.uint64(31))) * MIX
        mixed ^= mixed >> np.uint64(29)
        powers = _powers(BASE)[: len(words)]
        return cls(np.concatenate([np.zeros(1, "uint64"), np.cumsum(mixed * powers)]))

    def hashes(self, first: np.ndarray, size: np.ndarray | int) -> np.ndarray:
        """Of runs of `size` words from the `first` on, wherever they are."""
        return (self.sums[first + size] - self.sums[first]) * _powers(INVERSE)[first]


@functools.cache
def _powers(base: int) -> np.ndarray:
    """The first ones, modulo 2 ** 64."""
    factors = np.full(BLOCK + LONGEST + 1, base, "uint64")
    factors[0] = 1
    return np.cumprod(factors)
