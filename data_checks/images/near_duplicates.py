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
ALIKE = 0.1  # of the squared distance of two pictures that have nothing to do with each other
CLOSER = 0.35  # of the squared distance to the nearest of the sample
WINDOW = 16  # neighbours within a band that are compared
BLOCK = 1024
FEW = 128  # points whose distances to all others are known at once
FLAT = 4.0  # grey levels of deviation below which a picture shows nothing

Gather = Callable[[np.ndarray], np.ndarray]


def pairs(gather: Gather, count: int, progress: Callable[[int, int], None]) -> np.ndarray:
    """Pairs of near copies, int64 [pairs, 2], the first less than the second.

    `gather` gives the pictures of some numbers, uint8 [n, height, width, channels].
    Brightness and contrast do not count. Two are near copies where they are both
    alike (correlation 0.95) and more alike than either is to the nearest of 2,000
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
    alike = [np.empty((0, 2), "int64"), *_alike(gather, found)]
    return _closer(gather, np.concatenate(alike), usual, sample)


def described(pictures: np.ndarray) -> np.ndarray:
    """Pictures as float32 [n, pixels] of mean 0 and length 1; zeros where they are flat."""
    flat = pictures.reshape(len(pictures), -1).astype("float32")
    flat -= flat.mean(1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", flat, flat))[:, None]
    blank = length < FLAT * np.sqrt(flat.shape[1])
    flat /= np.maximum(length, 1e-9)
    flat[blank[:, 0]] = 0
    return flat


def neighbours(points: np.ndarray, most: int) -> np.ndarray:
    """Of each point the numbers of the nearest others, in no order, int64 [n, most]."""
    found = np.empty((len(points), most), "int64")
    half = np.einsum("ij,ij->i", points, points) / 2
    for start in range(0, len(points), FEW):
        near = points[start : start + FEW] @ points.T - half
        np.fill_diagonal(near[:, start:], -np.inf)
        found[start : start + FEW] = np.argpartition(-near, most, axis=1)[:, :most]
    return found


def _axes(usual: np.ndarray) -> np.ndarray:
    """The main directions of the sample, of length 1: [pixels, components]."""
    from sklearn.utils.extmath import randomized_svd

    # All directions of 2,000 pictures take half a minute to find, these a fraction of a second.
    _, sizes, axes = randomized_svd(usual - usual.mean(0), COMPONENTS, random_state=0)
    kept = int((sizes > 1e-3 * sizes[0]).sum())
    return axes[:kept].T.astype("float32")


def _candidates(points: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Pairs that share a band of bits; within a band those next to each other along one mixture."""
    bits = int(np.clip(np.log2(len(points)) + 1, 4, 20))
    even = (points - np.median(points, axis=0)) / np.maximum(points.std(0), 1e-9)
    for _ in range(BANDS):
        mix = random.normal(size=(points.shape[1], bits + 1)).astype("float32")
        mixed = even @ mix
        codes = (mixed[:, :bits] > 0) @ (1 << np.arange(bits, dtype="int64"))
        order = np.lexsort((mixed[:, bits], codes))
        for step in range(1, WINDOW):
            one, other = order[:-step], order[step:]
            same = codes[one] == codes[other]
            if not same.any():
                break
            one, other = one[same], other[same]
            # Of some directions the distance is never more than that of the pictures.
            close = ((points[one] - points[other]) ** 2).sum(1) < ALIKE
            yield np.sort(np.stack([one[close], other[close]], 1), axis=1)


def _alike(gather: Gather, found: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs that show much the same."""
    for start in range(0, len(found), BLOCK):
        some = found[start : start + BLOCK]
        one, other = (described(gather(some[:, side])) for side in (0, 1))
        yield some[(_apart(one, other) < ALIKE) & one.any(1) & other.any(1)]


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared distances, of things of length 1."""
    return np.maximum(2 - 2 * np.einsum("ij,ij->i", one, other), 0)


def _closer(gather: Gather, alike: np.ndarray, usual: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Pairs that are more alike than either is to any other of the sample."""
    numbers, places = np.unique(alike, return_inverse=True)
    places = places.reshape(alike.shape)
    nearest, whose = _nearest(gather, numbers, usual, sample)
    chosen = []
    for start in range(0, len(alike), BLOCK):
        some, at = alike[start : start + BLOCK], places[start : start + BLOCK]
        apart = _apart(*(described(gather(some[:, side])) for side in (0, 1)))
        # The nearest, or the next one where that is the other of the pair.
        rest = np.where(whose[at] == some[:, ::-1], nearest[at][..., 1], nearest[at][..., 0])
        chosen.append(some[apart < CLOSER * rest.min(1)])
    return np.concatenate([np.empty((0, 2), "int64"), *chosen])


def _nearest(
    gather: Gather, numbers: np.ndarray, usual: np.ndarray, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances to the two nearest of the sample but itself [n, 2], and the first one."""
    squares = np.empty((len(numbers), 2), "float32")
    whose = np.empty(len(numbers), "int64")
    for start in range(0, len(numbers), BLOCK):
        some = numbers[start : start + BLOCK]
        apart = 2 - 2 * described(gather(some)) @ usual.T
        apart[some[:, None] == sample[None]] = np.inf
        two = np.argpartition(apart, 1, axis=1)[:, :2]
        squares[start : start + BLOCK] = np.take_along_axis(apart, two, 1)
        whose[start : start + BLOCK] = sample[two[:, 0]]
    return np.maximum(squares, 0), whose
