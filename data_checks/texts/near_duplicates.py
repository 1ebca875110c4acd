"""Near duplicate texts: MinHash over word pairs, then the exact overlap.

MinHash libraries hash one text at a time, a quarter of an hour for a million texts; here the
words of thousands of texts are hashed at once.
References: Broder, On the resemblance and containment of documents, 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

BANDS, ROWS = 8, 4  # 98 % of the pairs with an overlap of 0.8 share a band
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
    place = inside - np.repeat(begins, lengths)
    with np.errstate(over="ignore"):
        mixed = _mixed(joined[inside].astype("uint64") + (place.astype("uint64") << np.uint64(8)))
    starts = np.cumsum(lengths) - lengths
    return _mixed(np.add.reduceat(mixed, starts)) if len(starts) else np.empty(0, "uint64")


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Steele, Lea and Flood's SplitMix64, without its last step."""
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
    """For each text: a hash of its words in order, of its bands [n, BANDS], its word count."""
    hashed = Hashed(texts)
    counts = hashed.stops - hashed.starts
    whole = np.zeros(len(texts), "uint64")
    bands = np.zeros((len(texts), BANDS), "uint64")
    there = np.flatnonzero(counts > 0)
    if len(there):
        place = np.arange(len(hashed.words)) - np.repeat(hashed.starts, counts)
        with np.errstate(over="ignore"):
            weighed = _mixed(hashed.words + place.astype("uint64"))
        whole[there] = _mixed(np.add.reduceat(weighed, hashed.starts[there]))
    long = np.flatnonzero(counts >= MIN_WORDS)
    if len(long):
        bands[long] = _bands(hashed, long)
    return whole, bands, counts


def _bands(hashed: Hashed, long: np.ndarray) -> np.ndarray:
    pairs = _pairs_of_words(hashed.words)
    # Pairs of text k are starts[k] .. stops[k] - 1; reduceat wants both ends as starts.
    edges = np.stack([hashed.starts[long], hashed.stops[long] - 1], 1).ravel()
    edges = np.minimum(edges, len(pairs) - 1)
    found = np.empty((len(long), BANDS), "uint64")
    for band in range(BANDS):
        key = np.zeros(len(long), "uint64")
        for row in range(ROWS):
            salt = np.uint64(band * ROWS + row + 1)
            with np.errstate(over="ignore"):
                least = np.minimum.reduceat(_mixed(pairs ^ (salt * PRIME)), edges)[::2]
                key = _mixed(key + least)
        found[:, band] = key
    return found


def overlap(one: bytes, other: bytes) -> float:
    """Jaccard similarity of the sets of word pairs of two texts."""
    sets = []
    for text in (one, other):
        words = text.translate(PLAIN).split()
        sets.append(set(itertools.pairwise(words)))
    both = len(sets[0] | sets[1])
    return len(sets[0] & sets[1]) / both if both else 0.0


def blocks(sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Ranges of texts of about BLOCK_BYTES bytes together."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + BLOCK_BYTES)))
        yield np.arange(start, min(stop, len(sizes)))
        start = stop


def candidates(bands: np.ndarray) -> np.ndarray:
    """Pairs that share a band, each text with its next few neighbours, int64 [pairs, 2]."""
    found = [np.empty((0, 2), "int64")]
    known = np.flatnonzero(bands.any(1))
    for band in range(BANDS):
        keys = bands[known, band]
        order = np.argsort(keys, kind="stable")
        for step in range(1, WINDOW):
            one, other = order[:-step], order[step:]
            same = keys[one] == keys[other]
            if not same.any():
                break
            found.append(np.sort(np.stack([known[one[same]], known[other[same]]], 1), axis=1))
    return np.unique(np.concatenate(found), axis=0)
