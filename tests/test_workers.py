"""Several workers: TF_CONFIG, the shards of each worker, and that they learn as one process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from made import random_images

import apps
from pipelines.batches import _single_pass, _size_for_replicas, shuffled_batches
from pipelines.examples import Examples
from pipelines.sharding import WorkerShard
from training.distributed import cluster, strategy
from training.distributed.cluster import StrategyError
from training.run import Run

TWO = {"worker": ["a:1", "b:2"]}
# In one launch an app: starting TensorFlow twice takes longer than most of these.
CHECK = """
import dataclasses, sys
from training import startup
startup.start_tensorflow(None, "multiworker")
import apps
from training.distributed.equivalence import compare_devices
from training.options import CheckDistributeOptions
for optimizer in ("sgd", "adam", "adan", "lookahead"):
    app = dataclasses.replace(apps.get(sys.argv[1]).tiny(), optimizer=optimizer)
    if sys.argv[1] == "recommender":
        app = dataclasses.replace(app, model="svdpp")
    if sys.argv[1] == "mnist" and optimizer != "sgd":
        # Normalised, weights of pixels that are always black have gradients of mere rounding.
        app = dataclasses.replace(app, batch_norm=False)
    found = compare_devices(app, CheckDistributeOptions(strategy="multiworker"))
    if found is not None:
        assert found.difference <= 1e-5, (optimizer, found)
        assert found.moved > 1e-4, (optimizer, found)
        print("equal", optimizer)
"""
# What Keras does without training.distributed.keras_fixes: the day that this fails, a fix can go.
WITHOUT = """
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras, numpy as np
from training.distributed import keras_fixes
with strategy.scope():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
data = tf.data.Dataset.from_tensor_slices((np.zeros((8, 4)), np.zeros(8))).batch(4)
for fix, said in ((keras_fixes.symbolic_build, "PerReplica"), (keras_fixes.logs, "dimension 0")):
    try:
        model.fit(data, verbose=0)
    except Exception as error:
        assert said in str(error), error
    else:
        raise AssertionError(f"{fix.__name__}() can go")
    fix()
model.fit(data, verbose=0)
"""


def launched(*command, **options):
    start = "launch(sys.argv[1:], workers=2)"
    program = f"import sys; from training.distributed.launch import launch; {start}"
    command = [sys.executable, "-c", program, sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def trained(*command):
    command = [sys.executable, "-m", "athanor", *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def named(config):
    return config if isinstance(config, str) else json.dumps(config)


def test_tf_config_names_workers_and_this_one(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert cluster.read_cluster() is None
    monkeypatch.setenv("TF_CONFIG", named({"cluster": TWO, "task": {"type": "worker", "index": 1}}))
    assert cluster.read_cluster() == (("a:1", "b:2"), 1)
    assert cluster.cluster_to_join("one") is None
    assert (
        cluster.cluster_to_join("auto")
        == cluster.cluster_to_join("multiworker")
        == cluster.read_cluster()
    )


def test_a_job_of_the_chief_comes_first(monkeypatch):
    jobs = {"worker": ["b:2"], "chief": ["a:1"]}
    monkeypatch.setenv(
        "TF_CONFIG", named({"cluster": jobs, "task": {"type": "worker", "index": 0}})
    )
    assert cluster.read_cluster() == (("a:1", "b:2"), 1)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ({"cluster": TWO}, "task"),
        ({"cluster": TWO, "task": {"type": "worker", "index": "x"}}, "'x'"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "the task worker 2"),
        ({"cluster": TWO, "task": {"type": "ps", "index": 0}}, "the task ps 0"),
        ({"cluster": TWO | {"ps": ["c:3"]}, "task": {"type": "worker", "index": 0}}, "ps in its"),
        (
            {"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}},
            "HOST:PORT",
        ),
        ({"cluster": {"worker": ["a", 5]}, "task": {"type": "worker", "index": 0}}, "HOST:PORT"),
    ],
)
@pytest.mark.parametrize("asked", ["multiworker", "auto"])
def test_a_damaged_tf_config_is_refused(monkeypatch, run_cli, elsewhere, config, reason, asked):
    monkeypatch.setenv("TF_CONFIG", named(config))
    status, out, err = run_cli("mnist", "train", "--strategy", asked)
    assert (status, out) == (2, "")
    assert "Received TF_CONFIG=" in err
    assert reason in err
    assert len(err.splitlines()) == 1
    assert not list(elsewhere.iterdir())
    assert strategy.make_strategy("one").num_replicas_in_sync == 1


@pytest.mark.parametrize(
    "config", [None, {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}]
)
def test_multiworker_needs_named_workers(monkeypatch, run_cli, config):
    monkeypatch.setenv("TF_CONFIG", named(config) if config else "")
    status, out, err = run_cli("mnist", "train", "--strategy", "multiworker")
    assert (status, out) == (2, "")
    assert "athanor launch --workers 2" in err
    assert cluster.cluster_to_join("auto") is None
    with pytest.raises(StrategyError, match="expected the addresses of several"):
        strategy.make_strategy("multiworker")


def test_flags_that_do_not_fit_workers_are_refused(monkeypatch, run_cli):
    monkeypatch.setenv("TF_CONFIG", named({"cluster": TWO, "task": {"type": "worker", "index": 0}}))
    for flags in (["--devices", "2"], ["--folds", "3"]):
        status, _, err = run_cli("mnist", "train", "--strategy", "multiworker", *flags)
        assert status == 2
        assert f"Received {' '.join(flags)} for several workers" in err


def test_a_single_process_is_the_chief():
    assert strategy.is_chief()
    assert strategy.strategy_name() == "one"
    assert strategy.broadcast_from_chief(7) == 7


def _parts(share, count, size):
    """Return the examples that a worker gets in a pass."""
    return [batch.target.numpy() for batch in _single_pass(_numbered(count), size, None)(share)]


def _numbered(count):
    return Examples.of(random_images(count).features, np.arange(count))


@pytest.mark.parametrize(("workers", "local"), [(2, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("count", [24, 25, 31])
def test_shards_of_a_pass_are_disjoint_and_complete(workers, local, count):
    replicas, size = workers * local, 12
    size = _size_for_replicas(replicas, count, size)
    found = [_parts(WorkerShard(w * local, local, replicas), count, size) for w in range(workers)]
    assert len({len(parts) for parts in found}) == 1
    for step in range(-(-count // size)):
        mine = [part for parts in found for part in parts[step * local : (step + 1) * local]]
        whole = np.arange(step * size, min(count, (step + 1) * size))
        np.testing.assert_array_equal(np.concatenate(mine), whole)
        assert max(map(len, mine)) - min(map(len, mine)) <= 1


def test_training_shards_are_the_rows_of_one_process(monkeypatch):
    def batches(share):
        monkeypatch.setattr("pipelines.batches.for_strategy", lambda flow: flow(share))
        return shuffled_batches(_numbered(50), batch_size=8, steps_per_epoch=6, seed=3)

    whole = [batch.target for batch in batches(WorkerShard(0, 1, 1)).take(13)]
    halves = [batches(WorkerShard(number, 1, 2)) for number in (0, 1)]
    assert all(half.cardinality() == tf.data.INFINITE_CARDINALITY for half in halves)
    assert all(half.element_spec.features.shape[0] == 4 for half in halves)
    for one, *both in zip(whole, *(half.take(13) for half in halves), strict=True):
        np.testing.assert_array_equal(one, np.concatenate([part.target for part in both]))


@pytest.mark.slow
def test_two_workers_learn_the_same_as_one_process():
    flags = ["--optimizer", "adam", "--model", "mlp", "--width", "8", "--json"]
    command = [sys.executable, "-m", "athanor", "launch", "regression", "check-distribute", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["differences"][-1]["weights"] <= 1e-5
    assert found["moved"] > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_two_workers_learn_the_same_as_one(app):
    done = launched("-c", CHECK, app.name())
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("[0] equal") == 4


@pytest.mark.slow
def test_a_run_of_two_workers_equals_one_of_a_process(elsewhere):
    flags = ["--model", "softmax", "--epochs", "3", "--optimizer", "adam"]
    for place, before in (("one", []), ("two", ["launch"])):
        done = trained(*before, "mnist", "train", *flags, "--run-dir", place, "--json")
        assert done.returncode == 0, done.stderr[-3000:]
        assert set(json.loads(done.stdout)) > {"run", "test"}
    assert {path.name for path in elsewhere.iterdir()} == {"one", "two"}
    one, two = (Run.load(elsewhere / place) for place in ("one", "two"))
    assert (two.manifest["strategy"], two.manifest["replicas"]) == ("multiworker", 2)
    names = [{path.name for path in run.path.iterdir()} for run in (one, two)]
    assert names[0] == names[1]
    for mine, other in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)
    np.testing.assert_allclose(one.samples.answers, two.samples.answers, atol=1e-5)


@pytest.mark.slow
def test_a_killed_worker_is_restarted(elsewhere):
    flags = ["--model", "softmax", "--epochs", "12", "--patience", "0", "--run-dir", "run"]
    command = [sys.executable, "-m", "athanor", "launch", "mnist", "train", *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as launcher:
        for line in launcher.stdout:
            if "Epoch 3/" in line:
                break
        children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        said, complained = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, complained
    assert "ended by SIGKILL; starting all again (1 of 3)." in complained
    assert "continues after epoch" in said
    assert "Epoch 1/12" not in said  # of the second start
    assert Run.load(elsewhere / "run").manifest["epochs"] == 12


@pytest.mark.slow
def test_keras_still_needs_its_fixes():
    done = launched("-c", WITHOUT)
    assert done.returncode == 0, done.stderr[-3000:]
