"""Which pictures are nearly the same: found by hashes of their main components, then compared.

A hash of brightness steps (dHash) is right for photographs and useless for digits, of
which thousands share one. Here the bits are signs of random mixtures of the set's own
principal components, so that they are balanced whatever the pictures show; pictures that
share one of several runs of bits are compared as they are.
"""

from collections.abc import Callable, Iterator

import numpy as np

BANDS = 12
COMPONENTS = 24
SAMPLE = 2000  # pictures by which the components, and what is usual, are known
ALIKE = 0.16  # of the squared distance of two pictures that have nothing to do with each other
CLOSER = 0.35  # of the squared distance to the nearest of the sample
WINDOW = 16  # neighbours within a band that are compared
BLOCK = 4096
FLAT = 4.0  # grey levels of deviation below which a picture shows nothing

Gather = Callable[[np.ndarray], np.ndarray]


def pairs(gather: Gather, count: int, progress: Callable[[int, int], None]) -> np.ndarray:
    """Pairs of near copies, int64 [pairs, 2], the first less than the second.

    `gather` gives the pictures of some numbers, uint8 [n, height, width, channels].
    Brightness and contrast do not count. Two are near copies where they are both
    alike (correlation 0.92) and more alike than either is to the nearest of 2,000
    others: so digits of one hand stay what they are. Memory is 24 numbers a picture.
    """
    if count < 3:
        return np.empty((0, 2), "int64")
    random = np.random.default_rng(0)
    sample = np.sort(random.choice(count, min(count, SAMPLE), replace=False))
    usual = described(gather(sample))
    axes = _axes(usual)
    points = np.empty((count, axes.shape[1]), "float32")
    for start in range(0, count, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, count))
        points[numbers] = described(gather(numbers)) @ axes
        progress(int(numbers[-1]) + 1, count)
    found = np.unique(np.concatenate([*_candidates(points, random)]), axis=0)
    return np.concatenate([np.empty((0, 2), "int64"), *_confirmed(gather, found, usual, sample)])


def described(pictures: np.ndarray) -> np.ndarray:
    """Pictures as float32 [n, pixels] of mean 0 and length 1; zeros where they are flat."""
    flat = pictures.reshape(len(pictures), -1).astype("float32")
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    blank = length < FLAT * np.sqrt(flat.shape[1])
    return np.where(blank, 0, flat / np.maximum(length, 1e-9))


def _axes(usual: np.ndarray) -> np.ndarray:
    """The main components of the sample, each divided by its deviation: [pixels, components]."""
    centred = usual - usual.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    kept = min(COMPONENTS, int((sizes > 1e-3 * sizes[0]).sum()))
    return (axes[:kept] / sizes[:kept, None]).T.astype("float32")


def _candidates(points: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Pairs that share a band of bits; within a band those next to each other along one mixture."""
    bits = int(np.clip(np.log2(len(points)) + 1, 4, 20))
    middle = np.median(points, axis=0)
    for _ in range(BANDS):
        mix = random.normal(size=(points.shape[1], bits + 1)).astype("float32")
        mixed = (points - middle) @ mix
        codes = (mixed[:, :bits] > 0) @ (1 << np.arange(bits, dtype="int64"))
        order = np.lexsort((mixed[:, bits], codes))
        for step in range(1, WINDOW):
            one, other = order[:-step], order[step:]
            same = codes[one] == codes[other]
            if not same.any():
                break
            # In these components too they have to be near each other.
            one, other = one[same], other[same]
            apart = ((points[one] - points[other]) ** 2).sum(1)
            close = apart < 0.5 * _typical(points)
            yield np.sort(np.stack([one[close], other[close]], 1), axis=1)


def _typical(points: np.ndarray) -> float:
    """The mean squared distance of two points."""
    return float(2 * points[:SAMPLE].var(0).sum())


def _confirmed(
    gather: Gather, found: np.ndarray, usual: np.ndarray, sample: np.ndarray
) -> Iterator[np.ndarray]:
    for start in range(0, len(found), BLOCK // 4):
        some = found[start : start + BLOCK // 4]
        one, other = (described(gather(some[:, side])) for side in (0, 1))
        apart = ((one - other) ** 2).sum(1)
        shown = (one.any(1)) & (other.any(1))
        alike = np.flatnonzero(shown & (apart < ALIKE) & (apart > 0))
        if not len(alike):
            continue
        nearest = np.minimum(
            _nearest(one[alike], some[alike], usual, sample),
            _nearest(other[alike], some[alike], usual, sample),
        )
        yield some[alike[apart[alike] < CLOSER * nearest]]


def _nearest(
    pictures: np.ndarray, numbers: np.ndarray, usual: np.ndarray, sample: np.ndarray
) -> np.ndarray:
    """The squared distance of each picture to the nearest of the sample but its own pair."""
    squares = 2 - 2 * pictures @ usual.T
    for side in (0, 1):
        squares[numbers[:, side, None] == sample[None]] = np.inf
    return squares.min(1)
