"""Several devices learn the same as one, share batches, and refuse what does not fit."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
from apps import FieldError, Mnist
from apps.networks import FusedBatchNormalization
from pipelines.batches import _size_for_replicas
from training.distributed import strategy
from training.run import Run

CHECK = """
import dataclasses, sys
from training import startup
startup.start_tensorflow(2)
import apps
from training.distributed.equivalence import compare_devices
for optimizer in ("sgd", "adam", "adan", "lookahead"):
    app = dataclasses.replace(apps.get(sys.argv[1]).tiny(), optimizer=optimizer)
    if sys.argv[1] == "recommender":
        app = dataclasses.replace(app, model="svdpp")
    if sys.argv[1] == "mnist" and optimizer != "sgd":
        # Normalised, weights of pixels that are always black have gradients of mere rounding.
        app = dataclasses.replace(app, batch_norm=False)
    found = compare_devices(app)
    assert found.difference <= 1e-5, (optimizer, found)
    assert found.moved > 1e-4, (optimizer, found)
"""


# Every app with its own optimizer.
DEFAULTS = """
import dataclasses, sys
from training import startup
startup.start_tensorflow(2)
import apps
from training.distributed.equivalence import compare_devices
TINY = {
    "regression": {"model": "mlp"},
    "finetune": {"weights": "none", "head_epochs": 1},
    "text": {"model": "rnn"},
}
# Gradients of mere rounding make whole steps where pixels that are always black are normalised,
# and the usual solver of recommender makes no steps.
WITHOUT = {"mnist": {"batch_norm": False}, "recommender": {"model": "svdpp"}}
for app in [apps.get(name) for name in sys.argv[2:]]:
    made = dataclasses.replace(app(), **WITHOUT.get(app.name(), {}))
    if sys.argv[1] == "tiny":
        small = WITHOUT.get(app.name(), {}) | TINY.get(app.name(), {})
        made = dataclasses.replace(app.tiny(), **small)
    found = compare_devices(made)
    assert found.difference <= 1e-6, (app, found)
    assert found.moved > 1e-4, (app, found)
"""

# Each replica normalises by its own part of the batch. After 20 steps rounding alone makes .15 of
# it, where weights moved by .9: there no mistake can be seen.
MISTAKE = """
from training import startup
startup.start_tensorflow(2)
import apps
from training.distributed import strategy
from training.distributed.equivalence import UnequalError, compare_devices
right = compare_devices(apps.Mnist.tiny())
assert right.mistake is None, right
assert [one.when for one in right.differences][:2] == [
    "after step 1 of epoch 1", "after step 2 of epoch 1"
]
strategy.synchronize_batch_normalization = lambda model: None
try:
    compare_devices(apps.Mnist.tiny())
except UnequalError as error:
    assert "after step 1 of epoch 1" in str(error), error
else:
    raise AssertionError("replicas that normalise apart are taken for equal")
"""

# What Keras does without training.distributed.keras_fixes: the day that this fails, a fix can go.
WITHOUT = """
from training import startup
startup.start_tensorflow(2)
import keras, numpy as np, tensorflow as tf
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    seeds = keras.random.SeedGenerator(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
drawn = model.distribute_strategy.run(lambda: seeds.next())
one, other = model.distribute_strategy.experimental_local_results(drawn)
assert np.array_equal(one, other), "replicas draw differently: random_layers() can go"
try:
    model.fit(np.zeros((3, 4)), np.zeros(3), batch_size=3, verbose=0)
except tf.errors.InvalidArgumentError as error:
    assert "AddN" in str(error), error
else:
    raise AssertionError("parts of unlike size are taken: symbolic_build() can go")
"""


def run(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_two_devices_learn_the_same_as_one(app):
    # In a process of its own: devices are divided before TensorFlow starts.
    done = run("-c", CHECK, app.name())
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_keras_still_needs_its_fixes():
    done = run("-c", WITHOUT)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_a_run_of_two_devices_is_an_ordinary_run(tmp_path):
    flags = ["--model", "mlp", "--epochs", "2", "--minutes", "9"]
    flags += ["--strategy", "mirrored", "--devices", "2"]
    done = run("-m", "athanor", "mnist", "train", *flags, "--run-dir", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (manifest["strategy"], manifest["replicas"]) == ("mirrored", 2)
    assert said["test"]["accuracy"] > 0.5
    kept = Run.load(tmp_path / "run")
    answers = kept.model(kept.samples.raw, training=False)
    np.testing.assert_allclose(answers, kept.samples.answers, atol=1e-5)


ALL = [app.name() for app in apps.ALL]


@pytest.mark.parametrize(
    ("size", "names"),
    [
        pytest.param("tiny", ALL, marks=pytest.mark.thorough),
        pytest.param("usual", ALL, marks=pytest.mark.slow),
    ],
)
def test_two_devices_learn_the_same_with_the_optimizer_of_an_app(size, names):
    done = run("-c", DEFAULTS, size, *names)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "WARNING" not in done.stderr


@pytest.mark.thorough
def test_an_error_is_detected_before_rounding_grows():
    done = run("-c", MISTAKE)
    assert done.returncode == 0, done.stderr[-3000:]


def test_mirrored_needs_several_devices():
    with pytest.raises(strategy.StrategyError, match="--devices 2 divides the CPU"):
        strategy.make_strategy("mirrored")
    with pytest.raises(strategy.StrategyError, match="expected 1 to 1"):
        strategy.make_strategy("auto", 2)
    assert strategy.make_strategy("auto").num_replicas_in_sync == 1
    assert strategy.num_replicas() == 1


def test_batch_sizes_are_divisible_by_replicas():
    app = Mnist(model="softmax")
    assert strategy.batch_size(app, 1200, 2) == 96
    assert strategy.batch_size(app, 1200, 5) == 95
    for size, fitting in ((32, 30), (96, 95)):  # also where somebody asks for the usual one
        with pytest.raises(FieldError, match=f"Take --batch-size {fitting}"):
            strategy.batch_size(dataclasses.replace(app, batch_size=size), 1000, 5)
    with pytest.raises(FieldError, match="Take --strategy one"):
        strategy.batch_size(dataclasses.replace(app, optimizer="lbfgs"), 1000, 2)


@pytest.mark.parametrize(
    ("replicas", "count", "size"), [(2, 39, 1000), (2, 1001, 1000), (3, 1000, 999), (4, 2, 10)]
)
def test_every_replica_gets_a_part_of_each_batch(replicas, count, size):
    found = _size_for_replicas(replicas, count, size)
    assert found % replicas == 0
    assert found <= max(size, replicas)
    if count >= replicas:
        assert not 0 < count % found < replicas


def test_fused_statistics_equal_those_of_keras():
    images = tf.random.stateless_normal((4, 3, 3, 2), (0, 1)) * 3 + 1
    layers = [FusedBatchNormalization(), keras.layers.BatchNormalization()]
    for layer in layers:
        layer(images, training=True)
    for ours, theirs in zip(*(layer.weights for layer in layers), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
