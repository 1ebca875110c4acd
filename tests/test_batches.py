"""Batches are a pure function of seed, epoch and step, in memory and from the disk."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from made import batches_of, random_images

from pipelines.batches import ordered_batches, shuffled_batches
from pipelines.example_store import store
from pipelines.examples import DataError, Examples
from pipelines.images.augmentation import random_affine

COUNT, BATCH, STEPS = 50, 8, 6


def numbered(count=COUNT):
    """Examples whose target is their number."""
    return Examples.of(random_images(count).features, np.arange(count))


def shuffled(steps, examples=None, *, seed=0, start=0, **options):
    """The first batches as arrays."""
    batches = shuffled_batches(
        examples or numbered(),
        batch_size=BATCH,
        steps_per_epoch=STEPS,
        seed=seed,
        start=start,
        **options,
    )
    return list(batches.take(steps).as_numpy_iterator())


def targets(batches):
    return [batch.target.tolist() for batch in batches]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        np.testing.assert_array_equal(batch.features, other.features)
        np.testing.assert_array_equal(batch.target, other.target)


def test_the_same_seed_gives_the_same_batches():
    assert_same(shuffled(20), shuffled(20))


@pytest.mark.parametrize("start", [1, STEPS, 2 * STEPS + 3])
def test_start_continues_at_the_same_batches(start):
    augment = random_affine(1.0)
    unbroken = shuffled(4 * STEPS, augment=augment)
    assert_same(shuffled(4 * STEPS - start, start=start, augment=augment), unbroken[start:])


def test_an_epoch_holds_no_example_twice():
    numbers = targets(shuffled(5 * STEPS))
    for start in range(0, 5 * STEPS, STEPS):
        epoch = flat(numbers[start : start + STEPS])
        assert len(set(epoch)) == STEPS * BATCH == len(epoch)


def test_every_example_is_used_over_the_epochs():
    assert set(flat(targets(shuffled(10 * STEPS)))) == set(range(COUNT))


def test_epochs_and_seeds_differ():
    first = targets(shuffled(2 * STEPS))
    assert first[:STEPS] != first[STEPS:]
    orders = {str(targets(shuffled(STEPS, seed=seed))) for seed in (0, 1, 2, 2**31 - 1)}
    assert len(orders) == 4


def test_features_stay_with_their_targets():
    examples = numbered()
    for features, target in shuffled(STEPS, examples):
        np.testing.assert_array_equal(features, examples.features[target])


def test_training_batches_have_one_static_shape():
    batches = shuffled_batches(numbered(), batch_size=BATCH, steps_per_epoch=STEPS, seed=0)
    assert batches.element_spec.features.shape == (BATCH, 8, 8, 1)


@pytest.mark.parametrize(("count", "sizes"), [(20, [8, 8, 4]), (16, [8, 8]), (3, [3])])
def test_one_pass_is_ordered_and_complete(count, sizes):
    batches = list(ordered_batches(numbered(count), batch_size=BATCH).as_numpy_iterator())
    assert [len(batch.target) for batch in batches] == sizes
    assert flat(targets(batches)) == list(range(count))


def test_prepare_is_applied_only_to_features():
    (batch,) = ordered_batches(
        numbered(4), batch_size=BATCH, prepare=lambda x: tf.cast(x, tf.float32) / 2
    )
    np.testing.assert_array_equal(batch.features, numbered(4).features / 2)
    np.testing.assert_array_equal(batch.target, range(4))


def test_augmentation_begins_with_the_second_epoch():
    clean, changed = shuffled(2 * STEPS), shuffled(2 * STEPS, augment=random_affine(1.0))
    assert_same(changed[:STEPS], clean[:STEPS])
    assert targets(changed) == targets(clean)
    for before, after in zip(clean[STEPS:], changed[STEPS:], strict=True):
        assert (before.features != after.features).any()


def test_augmentation_differs_from_step_to_step():
    one = Examples.of(
        np.repeat(random_images(1).features, BATCH * STEPS, axis=0), np.zeros(48, int)
    )
    batches = shuffled(3 * STEPS, one, augment=random_affine(1.0))[STEPS:]
    assert len({batch.features.tobytes() for batch in batches}) == 2 * STEPS


def moved(strength, images):
    changed, target = random_affine(strength)(tf.constant(images), 7, [0, 1])
    assert target == 7
    return changed.numpy()


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 20, 3)], ids=str)
def test_augmentation_is_stateless_and_keeps_shape_and_dtype(shape):
    images = tf.constant(random_images(6, shape).features)
    augment = random_affine(1.0)
    once, again, other = (augment(images, 0, seed)[0].numpy() for seed in ([3, 4], [3, 4], [3, 5]))
    assert (once.shape, once.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_augmentation_of_strength_0_changes_nothing_and_grows_with_strength():
    ramp = np.broadcast_to(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (32, 24, 24, 1))
    changes = [
        np.abs(moved(strength, ramp) - ramp.astype(int)).mean() for strength in (0.0, 0.3, 1.0, 3.0)
    ]
    assert changes[0] == 0
    assert changes == sorted(changes)
    assert len(set(changes)) == 4


def test_augmentation_moves_each_image_by_its_own_amounts():
    images = np.repeat(random_images(1, (16, 16, 1)).features, 10, axis=0)
    changed = moved(1.0, images)
    assert len({image.tobytes() for image in changed}) == 10


def test_a_set_larger_than_its_budget_is_cached_on_disk():
    examples = numbered()
    size = examples.features.nbytes
    assert isinstance(stored(examples, size - 1).features, np.memmap)
    assert not isinstance(stored(examples, size).features, np.memmap)


def test_the_disk_gives_the_same_batches_as_memory():
    on_disk, in_memory = stored(numbered(), 10), stored(numbered(), 10**9)
    assert isinstance(on_disk.features, np.memmap)
    assert_same(shuffled(3 * STEPS, on_disk), shuffled(3 * STEPS, in_memory))
    assert_same(
        ordered_batches(on_disk, batch_size=BATCH).as_numpy_iterator(),
        ordered_batches(in_memory, batch_size=BATCH).as_numpy_iterator(),
    )
    np.testing.assert_array_equal(on_disk.content_hashes(), in_memory.content_hashes())


def stored(examples, budget):
    return store(batches_of(examples), len(examples), budget)


def test_images_of_two_shapes_are_refused():
    mixed = [*batches_of(random_images(4)), *batches_of(random_images(4, (9, 8, 1)))]
    with pytest.raises(DataError, match="expected one shape"):
        store(mixed, 8)


def test_no_examples_are_refused():
    with pytest.raises(DataError, match="Received no examples"):
        store([], 0)


STREAM = """
import sys
from pathlib import Path
import numpy as np
from pipelines.example_store import store
from pipelines.examples import Batch
from pipelines.batches import shuffled_batches

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

def images():
    random = np.random.default_rng(0)
    for _ in range(50):
        yield Batch(random.integers(0, 256, (1000, 64, 64, 1), dtype="uint8"), np.zeros(1000, int))

def stream(examples, steps):
    options = dict(batch_size=64, steps_per_epoch=781, seed=0)
    return sum(int(batch.target[0]) for batch in shuffled_batches(examples, **options).take(steps))

warm = store([next(images())], 1000, 2**20)
stream(warm, 15)
before = resident()
examples = store(images(), 50_000, 2**20)
assert examples.features.nbytes > 200e6
stored = resident()
stream(examples, 2 * 781)
print(max(stored, resident()) - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_streaming_from_the_disk_keeps_memory_flat():
    """Two epochs of 205 MB in a process with a budget of 1 MB."""
    growth = subprocess.run(
        [sys.executable, "-c", STREAM], capture_output=True, text=True, check=True
    ).stdout
    assert float(growth) < 60, f"anonymous memory grew by {growth} MB"
