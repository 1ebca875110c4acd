"""Generated data for tests."""

import numpy as np

from pipelines.examples import Batch, Examples
from pipelines.splits import Source, Splits


def random_images(count, shape=(8, 8, 1), *, classes=3, seed=0):
    """Distinct random images with random classes."""
    random = np.random.default_rng(seed)
    features = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Examples.of(features, random.integers(0, classes, count))


def source(count=200, *, test=None, valid=None, classes=3, **options):
    """A source of random images with official splits of these sizes."""
    labels = tuple("abcdefghijklmnopqrstuvwxyz"[:classes])
    official = [
        number and random_images(number, classes=classes, seed=seed, **options)
        for seed, number in ((101, valid), (102, test))
    ]
    return Source(random_images(count, classes=classes, **options), *official, labels)


def splits(shape, classes=10):
    """Splits of random images of a shape."""
    parts = [random_images(40, shape, classes=classes, seed=seed) for seed in range(3)]
    return Splits(*parts, labels=tuple(map(str, range(classes))))


def reordered(examples, rows):
    """A copy of the examples of these rows."""
    return Examples.of(*examples.select(np.asarray(rows)).numpy())


def joined(*parts):
    """A copy of the examples of all parts."""
    arrays = [part.numpy() for part in parts]
    return Examples.of(*(np.concatenate(column) for column in zip(*arrays, strict=True)))


def batches_of(examples, size=10):
    """Yield batches as a reader does: arrays of a few examples."""
    for start in range(0, len(examples), size):
        yield Batch(*examples.numpy(slice(start, start + size)))


def contents(examples):
    """The content of each example as bytes, in order."""
    return [image.tobytes() for image in examples.numpy().features]
