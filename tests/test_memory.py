"""Evaluation and prediction work in blocks of limited bytes; memory errors name a remedy."""

import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import apps
from cli import commands
from cli import help as manual
from cli import output as console
from inference import model_outputs
from inference.modalities import images
from pipelines.batches import MAX_INFERENCE_BATCH_BYTES, MAX_INFERENCE_BATCH_SIZE
from pipelines.examples import Examples

PHOTO = (224, 224, 3)


def test_photographs_are_evaluated_in_batches_of_some_megabytes(monkeypatch):
    """In one batch, 1,000 photographs took 5 GB."""
    asked = []

    def answer(raw):
        asked.append(raw.numpy().nbytes)
        return raw[:, 0, 0, 0].numpy()

    monkeypatch.setattr(model_outputs, "compiled", lambda _: answer)
    photos = np.zeros((100, *PHOTO), "uint8")
    photos[:, 0, 0, 0] = np.arange(100)
    found = model_outputs.predict_all(None, Examples.of(photos, np.zeros(100)))
    np.testing.assert_array_equal(found, np.arange(100))
    assert sum(asked) == photos.nbytes
    assert max(asked) <= MAX_INFERENCE_BATCH_BYTES


@pytest.mark.parametrize(("shape", "most"), [(PHOTO, 27), ((28, 28, 1), MAX_INFERENCE_BATCH_SIZE)])
def test_predict_reads_images_in_batches_of_some_megabytes(shape, most, monkeypatch):
    asked = []

    def answered(_, block):
        asked.append(len(block))
        return [{"input": name} for name in block]

    monkeypatch.setattr(images, "_predict_block", answered)
    run = types.SimpleNamespace(manifest={"reading": {"shape": list(shape)}})
    names = [f"{number}.png" for number in range(2500)]
    assert [row["input"] for row in images.predict(run, names, print)] == names
    assert max(asked) == most
    assert max(asked) * np.prod(shape) <= MAX_INFERENCE_BATCH_BYTES


# All pairs of 100,000 users and 2,000 items are 800 MB in float32, and the model makes several
# such arrays of them.
USERS = """
from pathlib import Path
import numpy as np, keras
from apps.recommender import dot_product, factors
from apps.recommender.app import Recommender
from apps.recommender.factors import Interactions
from evaluation.modalities import ids as asked
from evaluation.tasks import ranking as rankings
from evaluation.tasks.ranked_users import MAX_RANKED_USERS
from pipelines.examples import Examples
from pipelines.ids.preprocessing import Ids
from pipelines.splits import Splits
from training.run import Run

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) / 1000 for one in lines if one.startswith("VmHWM"))

def part(users, seed):
    random = np.random.default_rng(seed)
    items = (random.zipf(1.3, len(users)) - 1) % 2000
    features = {
        "user": np.array([b"user%d" % user for user in users], object),
        "item": np.array([b"item%d" % item for item in items], object),
    }
    return Examples.of(features, random.integers(1, 6, len(users)).astype("float32"))

every = np.arange(100_000)
splits = Splits(part(np.repeat(every, 3), 1), part(every[::5], 2), part(every, 3))
ids = Ids.adapted(splits)
sizes = len(ids.users), len(ids.items)
widths = {"rating_width": 3 + factors.NUM_BIAS_COLUMNS, "score_width": 3}
layer = dot_product.FactorDotProduct(*sizes, **widths, lowest=1, highest=5)
network = dot_product.make_network(layer)
inputs = {name: keras.Input((), dtype="string", name=name) for name in ("user", "item")}
pairs = Interactions.of(splits.train, ids)
layer.set_ratings(factors.rating_tables(pairs, factors.bias_baseline(pairs)[0], 3))
layer.set_scores(factors.Tables(*(np.random.default_rng(0).normal(size=(n + 1, 3)) for n in sizes)))
run = Run(Path())
run.remember(splits=splits, model=keras.Model(inputs, network(ids(inputs))))
before = most()
answers = rankings.predict_test_set(run)
beside = dict(asked.baselines(splits))
found = rankings.metrics(answers)
for given in beside.values():
    rankings.metrics(given)
assert 0 < found["coverage"] <= 1, found
assert len(answers.lists.user_positions) == MAX_RANKED_USERS
print(most() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_evaluating_many_users_keeps_memory_flat():
    """A million users with 2,000 items took 22 GB; now 0.2 GiB beside the data."""
    done = subprocess.run(
        [sys.executable, "-c", USERS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout) < 300, f"memory grew by {done.stdout} MB"


LARGE_PNG = """
import struct, zlib
from pathlib import Path
import tensorflow as tf
from pipelines.images.decoding import decode
from pipelines.images.preprocessing import FitImage
from pipelines.images.photos import FitPhoto

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) / 1000 for one in lines if one.startswith("VmHWM"))

def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

def png(side):
    stream, row = zlib.compressobj(), bytes(1) + bytes([250, 10, 10, 128]) * side
    pixels = b"".join(stream.compress(row) for _ in range(side)) + stream.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", pixels), (b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(chunk(*part) for part in parts)

fit = {"photo": FitPhoto((96, 96, 3)), "digit": FitImage((28, 28, 1), 0.0, 0.7)}["KIND"]
spec = tf.TensorSpec([], tf.string)
read = tf.function(lambda file: fit(decode(file)), input_signature=[spec], autograph=False)
large = png(8192)
read(png(64))
before = peak()
read(large)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", ["photo", "digit"])
def test_a_large_image_takes_little_more_memory_than_its_pixels(kind):
    """RGBA of 67 megapixels is 268 MB; with float32 copies it took 2,400 MB."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE_PNG.replace("KIND", kind)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert float(done.stdout) < 900, f"memory grew by {done.stdout} MB"


@pytest.mark.parametrize("verb", [*console.APP_VERBS, *console.RUN_VERBS, "serve", "doctor"])
def test_a_memory_error_names_only_flags_of_the_command(verb):
    """--batch-size was named for commands that have no such flag."""
    for app in apps.ALL:
        words = [app.name(), verb] if verb in (*console.APP_VERBS, *console.RUN_VERBS) else [verb]
        status, said = console.explain(MemoryError(), [*words, "runs/train/x"])
        assert status == 1
        page = manual.page(commands.command_line(words[0]), words)
        for flag in re.findall(r"--[a-z-]+[a-z]", said):
            assert f"{flag} " in page.replace("\n", " "), (words, flag)
    assert ("--batch-size" in said) == (verb in ("train", "tune", "check-distribute"))
