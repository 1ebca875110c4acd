"""Find near duplicate images: candidates by hashes of principal components, then compared.

A brightness hash (dHash) suits photographs but not digits, of which thousands share one hash.
Here the bits are signs of random projections of the set's own principal components, so that
they are balanced for any images; images that share a band of bits are compared directly.
"""

from collections.abc import Callable, Iterator

import numpy as np

NUM_BANDS = 12
NUM_COMPONENTS = 24
MAX_SAMPLE_IMAGES = 2000  # images for the components and the typical distances
MAX_DISTANCE = 0.1  # squared, between normalised images
MAX_RELATIVE_DISTANCE = 0.35  # squared, relative to the nearest image of the sample
WINDOW = 16  # neighbours in a band with which each image is compared
IMAGES_PER_BLOCK = 1024
POINTS_PER_BLOCK = 128  # points whose distances to all others are computed at once
MIN_DEVIATION = 4.0  # grey levels; images with less are blank

Gather = Callable[[np.ndarray], np.ndarray]


def pairs(gather: Gather, count: int, progress: Callable[[int, int], None]) -> np.ndarray:
    """Return pairs of near copies, int64 [pairs, 2], the first less than the second.

    `gather` returns images by their numbers, uint8 [n, height, width, channels]. Brightness and
    contrast do not count. Two images are near copies if their correlation reaches 0.95 and both
    are clearly closer to each other than to the nearest of 2,000 others, so that digits of one
    writer are not copies. Memory: 24 numbers an image.
    """
    if count < 3:
        return np.empty((0, 2), "int64")
    random = np.random.default_rng(0)
    sample = np.sort(random.choice(count, min(count, MAX_SAMPLE_IMAGES), replace=False))
    reference = normalised(gather(sample))
    axes = _axes(reference)
    points = np.empty((count, axes.shape[1]), "float32")
    for start in range(0, count, IMAGES_PER_BLOCK):
        numbers = np.arange(start, min(start + IMAGES_PER_BLOCK, count))
        points[numbers] = normalised(gather(numbers)) @ axes
        progress(int(numbers[-1]) + 1, count)
    candidates = np.unique(np.concatenate([*_candidates(points, random)]), axis=0)
    similar = [np.empty((0, 2), "int64"), *_similar(gather, candidates)]
    return _closer(gather, np.concatenate(similar), reference, sample)


def normalised(images: np.ndarray) -> np.ndarray:
    """Return images as float32 [n, pixels] of mean 0 and length 1; zeros for blank images."""
    flat = images.reshape(len(images), -1).astype("float32")
    flat -= flat.mean(1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", flat, flat))[:, None]
    blank = length < MIN_DEVIATION * np.sqrt(flat.shape[1])
    flat /= np.maximum(length, 1e-9)
    flat[blank[:, 0]] = 0
    return flat


def neighbours(points: np.ndarray, count: int) -> np.ndarray:
    """Return for each point its `count` nearest others in no order, int64 [n, count]."""
    nearest = np.empty((len(points), count), "int64")
    half = np.einsum("ij,ij->i", points, points) / 2
    for start in range(0, len(points), POINTS_PER_BLOCK):
        similarity = points[start : start + POINTS_PER_BLOCK] @ points.T - half
        np.fill_diagonal(similarity[:, start:], -np.inf)
        nearest[start : start + POINTS_PER_BLOCK] = np.argpartition(-similarity, count, axis=1)[
            :, :count
        ]
    return nearest


def _axes(reference: np.ndarray) -> np.ndarray:
    """Return the principal components of the sample, of length 1: [pixels, components]."""
    from sklearn.utils.extmath import randomized_svd

    # A full decomposition of 2,000 images takes half a minute, this a fraction of a second.
    _, singular_values, axes = randomized_svd(
        reference - reference.mean(0), NUM_COMPONENTS, random_state=0
    )
    num_axes = int((singular_values > 1e-3 * singular_values[0]).sum())
    return axes[:num_axes].T.astype("float32")


def _candidates(points: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield pairs that share a band of bits and are neighbours along one projection in it."""
    bits = int(np.clip(np.log2(len(points)) + 1, 4, 20))
    standardised = (points - np.median(points, axis=0)) / np.maximum(points.std(0), 1e-9)
    for _ in range(NUM_BANDS):
        mix = random.normal(size=(points.shape[1], bits + 1)).astype("float32")
        mixed = standardised @ mix
        codes = (mixed[:, :bits] > 0) @ (1 << np.arange(bits, dtype="int64"))
        order = np.lexsort((mixed[:, bits], codes))
        for step in range(1, WINDOW):
            first, second = order[:-step], order[step:]
            same = codes[first] == codes[second]
            if not same.any():
                break
            first, second = first[same], second[same]
            # The distance of the projections is a lower bound of the images' distance.
            close = ((points[first] - points[second]) ** 2).sum(1) < MAX_DISTANCE
            yield np.sort(np.stack([first[close], second[close]], 1), axis=1)


def _similar(gather: Gather, candidates: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of similar images."""
    for start in range(0, len(candidates), IMAGES_PER_BLOCK):
        block = candidates[start : start + IMAGES_PER_BLOCK]
        first, second = (normalised(gather(block[:, side])) for side in (0, 1))
        yield block[(_distances(first, second) < MAX_DISTANCE) & first.any(1) & second.any(1)]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return squared distances of vectors of length 1."""
    return np.maximum(2 - 2 * np.einsum("ij,ij->i", first, second), 0)


def _closer(
    gather: Gather, similar: np.ndarray, reference: np.ndarray, sample: np.ndarray
) -> np.ndarray:
    """Return pairs clearly closer to each other than to any other image of the sample."""
    numbers, index = np.unique(similar, return_inverse=True)
    index = index.reshape(similar.shape)
    nearest, nearest_number = _nearest(gather, numbers, reference, sample)
    chosen = []
    for start in range(0, len(similar), IMAGES_PER_BLOCK):
        block, block_index = (
            similar[start : start + IMAGES_PER_BLOCK],
            index[start : start + IMAGES_PER_BLOCK],
        )
        distance = _distances(*(normalised(gather(block[:, side])) for side in (0, 1)))
        # The nearest image, or the second nearest if the nearest is the other of the pair.
        rest = np.where(
            nearest_number[block_index] == block[:, ::-1],
            nearest[block_index][..., 1],
            nearest[block_index][..., 0],
        )
        chosen.append(block[distance < MAX_RELATIVE_DISTANCE * rest.min(1)])
    return np.concatenate([np.empty((0, 2), "int64"), *chosen])


def _nearest(
    gather: Gather, numbers: np.ndarray, reference: np.ndarray, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared distances to the two nearest images of the sample [n, 2]; the nearest one."""
    squares = np.empty((len(numbers), 2), "float32")
    nearest_number = np.empty(len(numbers), "int64")
    for start in range(0, len(numbers), IMAGES_PER_BLOCK):
        block = numbers[start : start + IMAGES_PER_BLOCK]
        distances = 2 - 2 * normalised(gather(block)) @ reference.T
        distances[block[:, None] == sample[None]] = np.inf
        nearest_two = np.argpartition(distances, 1, axis=1)[:, :2]
        squares[start : start + IMAGES_PER_BLOCK] = np.take_along_axis(distances, nearest_two, 1)
        nearest_number[start : start + IMAGES_PER_BLOCK] = sample[nearest_two[:, 0]]
    return np.maximum(squares, 0), nearest_number
