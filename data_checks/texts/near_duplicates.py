"""Find near duplicate texts: MinHash over word pairs, then the exact overlap.

MinHash libraries hash one text at a time, a quarter of an hour for a million texts; here the
words of thousands of texts are hashed at once.
References: Broder, On the resemblance and containment of documents, 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

NUM_BANDS, ROWS_PER_BAND = 8, 4  # 98 % of the pairs with an overlap of 0.8 share a band
MIN_OVERLAP = 0.8  # Jaccard similarity of the sets of word pairs
MIN_WORDS = 5  # shorter texts are compared exactly
BLOCK_BYTES = 2**22  # of texts hashed together
WINDOW = 8  # neighbours in a band with which each text is compared
PRIME = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xBF58476D1CE4E5B9)
# Lower case; punctuation becomes a blank; bytes of other scripts stay.
PLAIN = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if chr(byte).isalnum() or byte > 127 else 32
    for byte in range(256)
)
BLANK = 32


class Hashed:
    """Hashes of the words of many texts in one array, with the start and stop of each text."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        plain = [text.translate(PLAIN) for text in texts]
        joined = np.frombuffer(b" " + b" ".join(plain) + b" ", "uint8")
        blank = joined == BLANK
        begins = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
        ends = np.flatnonzero(~blank[:-1] & blank[1:]) + 1
        self.words = _hashes_of(joined, begins, ends)
        first = np.cumsum([0, *(len(text) + 1 for text in plain)])[:-1] + 1
        self.starts = np.searchsorted(begins, first)
        self.stops = np.r_[self.starts[1:], len(begins)]


def _hashes_of(joined: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return a uint64 hash of each byte range: a sum of mixed bytes and their positions."""
    lengths = ends - begins
    inside = np.repeat(begins - np.r_[0, np.cumsum(lengths)[:-1]], lengths) + np.arange(
        lengths.sum()
    )
    offset = inside - np.repeat(begins, lengths)
    with np.errstate(over="ignore"):
        mixed = _mixed(joined[inside].astype("uint64") + (offset.astype("uint64") << np.uint64(8)))
    starts = np.cumsum(lengths) - lengths
    return _mixed(np.add.reduceat(mixed, starts)) if len(starts) else np.empty(0, "uint64")


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Mix the bits of numbers by SplitMix64 (Steele, Lea and Flood), without its last step."""
    with np.errstate(over="ignore"):
        numbers = (numbers + PRIME) * MIX
        numbers ^= numbers >> np.uint64(31)
        numbers = numbers * PRIME
        return numbers ^ (numbers >> np.uint64(29))


def _pairs_of_words(words: np.ndarray) -> np.ndarray:
    """Return a hash of each word and its next one."""
    with np.errstate(over="ignore"):
        return _mixed(words[:-1] * np.uint64(3) + words[1:])


def signatures(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each text a hash of its words in order, its bands, and its number of words."""
    hashed = Hashed(texts)
    counts = hashed.stops - hashed.starts
    text_hashes = np.zeros(len(texts), "uint64")
    bands = np.zeros((len(texts), NUM_BANDS), "uint64")
    nonempty = np.flatnonzero(counts > 0)
    if len(nonempty):
        position = np.arange(len(hashed.words)) - np.repeat(hashed.starts, counts)
        with np.errstate(over="ignore"):
            weighted = _mixed(hashed.words + position.astype("uint64"))
        text_hashes[nonempty] = _mixed(np.add.reduceat(weighted, hashed.starts[nonempty]))
    long = np.flatnonzero(counts >= MIN_WORDS)
    if len(long):
        bands[long] = _bands(hashed, long)
    return text_hashes, bands, counts


def _bands(hashed: Hashed, long: np.ndarray) -> np.ndarray:
    pairs = _pairs_of_words(hashed.words)
    # Pairs of text k are starts[k] .. stops[k] - 1; reduceat wants both ends as starts.
    edges = np.stack([hashed.starts[long], hashed.stops[long] - 1], 1).ravel()
    edges = np.minimum(edges, len(pairs) - 1)
    bands = np.empty((len(long), NUM_BANDS), "uint64")
    for band in range(NUM_BANDS):
        key = np.zeros(len(long), "uint64")
        for row in range(ROWS_PER_BAND):
            salt = np.uint64(band * ROWS_PER_BAND + row + 1)
            with np.errstate(over="ignore"):
                minimum = np.minimum.reduceat(_mixed(pairs ^ (salt * PRIME)), edges)[::2]
                key = _mixed(key + minimum)
        bands[:, band] = key
    return bands


def overlap(first: bytes, second: bytes) -> float:
    """Return the Jaccard similarity of the sets of word pairs of two texts."""
    sets = []
    for text in (first, second):
        words = text.translate(PLAIN).split()
        sets.append(set(itertools.pairwise(words)))
    union = len(sets[0] | sets[1])
    return len(sets[0] & sets[1]) / union if union else 0.0


def blocks(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ranges of texts of about BLOCK_BYTES bytes together."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + BLOCK_BYTES)))
        yield np.arange(start, min(stop, len(sizes)))
        start = stop


def candidates(bands: np.ndarray) -> np.ndarray:
    """Return pairs that share a band, each text with its next neighbours, int64 [pairs, 2]."""
    pairs = [np.empty((0, 2), "int64")]
    long = np.flatnonzero(bands.any(1))
    for band in range(NUM_BANDS):
        keys = bands[long, band]
        order = np.argsort(keys, kind="stable")
        for step in range(1, WINDOW):
            first, second = order[:-step], order[step:]
            same = keys[first] == keys[second]
            if not same.any():
                break
            pairs.append(np.sort(np.stack([long[first[same]], long[second[same]]], 1), axis=1))
    return np.unique(np.concatenate(pairs), axis=0)
