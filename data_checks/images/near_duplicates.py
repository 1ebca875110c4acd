"""Near duplicate images: candidates by hashes of principal components, then compared.

A brightness hash (dHash) suits photographs but not digits, of which thousands share one hash.
Here the bits are signs of random projections of the set's own principal components, so that
they are balanced for any images; images that share a band of bits are compared directly.
"""

from collections.abc import Callable, Iterator

import numpy as np

BANDS = 12
COMPONENTS = 24
SAMPLE = 2000  # images for the components and the typical distances
MAX_DISTANCE = 0.1  # squared, between normalised images
MAX_RELATIVE_DISTANCE = 0.35  # squared, to that of the nearest image of the sample
WINDOW = 16  # neighbours in a band with which each image is compared
BLOCK = 1024
POINTS_PER_BLOCK = 128  # whose distances to all others are computed at once
MIN_DEVIATION = 4.0  # grey levels; flatter images show nothing

Gather = Callable[[np.ndarray], np.ndarray]


def pairs(gather: Gather, count: int, progress: Callable[[int, int], None]) -> np.ndarray:
    """Pairs of near copies, int64 [pairs, 2], the first less than the second.

    `gather` returns images by their numbers, uint8 [n, height, width, channels]. Brightness and
    contrast do not count. Two images are near copies if their correlation reaches 0.95 and both
    are clearly closer to each other than to the nearest of 2,000 others, so that digits of one
    hand are no copies. Memory: 24 numbers an image.
    """
    if count < 3:
        return np.empty((0, 2), "int64")
    random = np.random.default_rng(0)
    sample = np.sort(random.choice(count, min(count, SAMPLE), replace=False))
    usual = normalised(gather(sample))
    axes = _axes(usual)
    points = np.empty((count, axes.shape[1]), "float32")
    for start in range(0, count, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, count))
        points[numbers] = normalised(gather(numbers)) @ axes
        progress(int(numbers[-1]) + 1, count)
    found = np.unique(np.concatenate([*_candidates(points, random)]), axis=0)
    alike = [np.empty((0, 2), "int64"), *_similar(gather, found)]
    return _closer(gather, np.concatenate(alike), usual, sample)


def normalised(pictures: np.ndarray) -> np.ndarray:
    """Images as float32 [n, pixels] of mean 0 and length 1; zeros for flat images."""
    flat = pictures.reshape(len(pictures), -1).astype("float32")
    flat -= flat.mean(1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", flat, flat))[:, None]
    blank = length < MIN_DEVIATION * np.sqrt(flat.shape[1])
    flat /= np.maximum(length, 1e-9)
    flat[blank[:, 0]] = 0
    return flat


def neighbours(points: np.ndarray, count: int) -> np.ndarray:
    """For each point its `count` nearest others in no order, int64 [n, count]."""
    found = np.empty((len(points), count), "int64")
    half = np.einsum("ij,ij->i", points, points) / 2
    for start in range(0, len(points), POINTS_PER_BLOCK):
        near = points[start : start + POINTS_PER_BLOCK] @ points.T - half
        np.fill_diagonal(near[:, start:], -np.inf)
        found[start : start + POINTS_PER_BLOCK] = np.argpartition(-near, count, axis=1)[:, :count]
    return found


def _axes(usual: np.ndarray) -> np.ndarray:
    """Return the principal components of the sample, of length 1: [pixels, components]."""
    from sklearn.utils.extmath import randomized_svd

    # A full decomposition of 2,000 images takes half a minute, this a fraction of a second.
    _, sizes, axes = randomized_svd(usual - usual.mean(0), COMPONENTS, random_state=0)
    kept = int((sizes > 1e-3 * sizes[0]).sum())
    return axes[:kept].T.astype("float32")


def _candidates(points: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Pairs that share a band of bits and are neighbours along one projection in the band."""
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
            # The distance of projections is a lower bound of that of the images.
            close = ((points[one] - points[other]) ** 2).sum(1) < MAX_DISTANCE
            yield np.sort(np.stack([one[close], other[close]], 1), axis=1)


def _similar(gather: Gather, found: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs of similar images."""
    for start in range(0, len(found), BLOCK):
        some = found[start : start + BLOCK]
        one, other = (normalised(gather(some[:, side])) for side in (0, 1))
        yield some[(_distances(one, other) < MAX_DISTANCE) & one.any(1) & other.any(1)]


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared distances of vectors of length 1."""
    return np.maximum(2 - 2 * np.einsum("ij,ij->i", one, other), 0)


def _closer(gather: Gather, alike: np.ndarray, usual: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Pairs that are clearly closer to each other than to any other image of the sample."""
    numbers, places = np.unique(alike, return_inverse=True)
    places = places.reshape(alike.shape)
    nearest, whose = _nearest(gather, numbers, usual, sample)
    chosen = []
    for start in range(0, len(alike), BLOCK):
        some, at = alike[start : start + BLOCK], places[start : start + BLOCK]
        apart = _distances(*(normalised(gather(some[:, side])) for side in (0, 1)))
        # The nearest, or the next one where that is the other of the pair.
        rest = np.where(whose[at] == some[:, ::-1], nearest[at][..., 1], nearest[at][..., 0])
        chosen.append(some[apart < MAX_RELATIVE_DISTANCE * rest.min(1)])
    return np.concatenate([np.empty((0, 2), "int64"), *chosen])


def _nearest(
    gather: Gather, numbers: np.ndarray, usual: np.ndarray, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances to the two nearest other images of the sample [n, 2], and the nearest."""
    squares = np.empty((len(numbers), 2), "float32")
    whose = np.empty(len(numbers), "int64")
    for start in range(0, len(numbers), BLOCK):
        some = numbers[start : start + BLOCK]
        apart = 2 - 2 * normalised(gather(some)) @ usual.T
        apart[some[:, None] == sample[None]] = np.inf
        two = np.argpartition(apart, 1, axis=1)[:, :2]
        squares[start : start + BLOCK] = np.take_along_axis(apart, two, 1)
        whose[start : start + BLOCK] = sample[two[:, 0]]
    return np.maximum(squares, 0), whose
