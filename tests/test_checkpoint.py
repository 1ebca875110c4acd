"""A run that was stopped at any epoch ends as one that was not."""

import csv
import dataclasses
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import apps
from evaluation.folds import cross_validate
from pipelines import embedded
from training import checkpoint
from training.callbacks import EnoughError
from training.run import CHECKPOINT, NOTE, PASSPORT, UNFINISHED, Run, RunError, taken, unfinished
from training.train import train


class Killed(BaseException):
    """As a process that ends: no callback learns of it."""


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch, error):
        super().__init__()
        self.epoch, self.error = epoch, error

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        if epoch == self.epoch:
            raise self.error


@pytest.fixture
def two_epochs():
    """The smallest app of which an epoch can be finished and another not."""
    return dataclasses.replace(apps.Mnist.tiny(), model="softmax", epochs=2)


@pytest.fixture
def begun(two_epochs, made_once, tmp_path):
    """The directory of a training of it that was killed in its second epoch."""

    def write(path):
        with pytest.raises(Killed):
            trained(two_epochs, path, stop=1)

    shutil.copytree(made_once("begun", write), tmp_path / "run")
    return tmp_path / "run"


def contents(path):
    return {one: one.is_file() and one.read_bytes() for one in path.rglob("*")}


def trained(app, path, *, stop=None, error=Killed, **options):
    watchers = [] if stop is None else [StopAt(stop, error)]
    return train(app, run_dir=path, precision="float32", verbose=0, watchers=watchers, **options)


def rows(run):
    with (run.path / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def case(app, stop, *marks, **fields):
    name = "-".join([app.__name__, str(stop), *fields.values()])
    return pytest.param(app, fields, stop, id=name, marks=marks)


CASES = [
    case(apps.Mnist, 2, pytest.mark.slow),
    case(apps.Recommender, 2),
    case(apps.Recommender, 3, pytest.mark.slow, model="svdpp", optimizer="adam"),
    case(apps.Finetune, 3, pytest.mark.slow),  # in the second stage
    *(case(app, 2, pytest.mark.slow) for app in (apps.Regression, apps.Finetune, apps.Text)),
    case(apps.Regression, 1, pytest.mark.slow, optimizer="schedulefree"),
    case(apps.Mnist, 1, pytest.mark.slow, optimizer="adan"),
]


@pytest.mark.parametrize(("app", "fields", "stop"), CASES)
def test_stopped_and_resumed_is_undisturbed(app, fields, stop, tmp_path):
    app = dataclasses.replace(app.tiny(), epochs=4, **fields)
    whole = trained(app, tmp_path / "whole")
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=stop)
    assert (tmp_path / "stopped" / CHECKPOINT).exists()
    resumed = trained(app, tmp_path / "stopped")
    assert rows(resumed) == rows(whole)
    for one, other in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert resumed.passport["best_epoch"] == whole.passport["best_epoch"]
    assert not (resumed.path / CHECKPOINT).exists()
    with (resumed.path / "history.csv").open() as file:
        epochs = sum(float(row["seconds"]) for row in csv.DictReader(file))
    assert resumed.passport["seconds"]["train"] >= epochs


def test_early_stopping_goes_on_counting(tmp_path):
    fields = {"model": "softmax", "epochs": 6, "patience": 2, "learning_rate": 1e-9}
    app = dataclasses.replace(apps.Mnist.tiny(), **fields)
    whole = trained(app, tmp_path / "whole")
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=1)
    assert rows(trained(app, tmp_path / "stopped")) == rows(whole)


@pytest.mark.parametrize("content", [None, b"", b"mine", b"PK\x03\x04"], ids=repr)
def test_a_checkpoint_that_cannot_be_read_is_refused(content, two_epochs, begun):
    path = begun / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    before = contents(begun)
    with pytest.raises(RunError, match=r"checkpoint.npz, which cannot be read.*expected"):
        trained(two_epochs, begun)
    assert contents(begun) == before


def test_a_checkpoint_of_somebody_else_is_refused(two_epochs, begun):
    np.savez(begun / CHECKPOINT, weights=np.zeros(3))
    before = contents(begun)
    with pytest.raises(RunError, match="cannot be read"):
        trained(two_epochs, begun)
    assert contents(begun) == before


@pytest.mark.parametrize("note", [None, "", "finish chapter 3"], ids=repr)
def test_a_directory_of_the_user_is_never_ours(note, two_epochs, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    np.savez(mine / CHECKPOINT, weights=np.zeros(3))
    if note is not None:
        (mine / UNFINISHED).write_text(note)
    before = contents(mine)
    with pytest.raises(RunError, match="not empty"):
        trained(two_epochs, mine, stop=0, error=KeyboardInterrupt())
    assert contents(mine) == before


class Write(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.path.write_text("mine")
        raise KeyboardInterrupt


def test_what_came_to_nothing_takes_nothing_of_the_user_along(two_epochs, tmp_path):
    run, empty = tmp_path / "run", tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(two_epochs, run_dir=run, verbose=0, watchers=[Write(run / "thesis.txt")])
    assert [path.name for path in run.iterdir()] == ["thesis.txt"]
    with pytest.raises(Killed):
        trained(two_epochs, empty, stop=0)
    assert list(empty.iterdir()) == []


def test_changed_fields_are_refused(two_epochs, begun):
    before = contents(begun)
    with pytest.raises(RunError, match="epochs 3"):
        trained(dataclasses.replace(two_epochs, epochs=3), begun)
    assert contents(begun) == before


def test_changed_data_are_refused(two_epochs, begun, monkeypatch):
    digits = embedded.digits()
    fewer = digits._replace(train=digits.train.select(np.arange(1, len(digits.train))))
    monkeypatch.setattr(embedded, "digits", lambda: fewer)
    before = contents(begun)
    with pytest.raises(RunError, match=r"Received data fingerprint '\w+'.*began with '\w+'"):
        trained(two_epochs, begun)
    assert contents(begun) == before


def test_another_precision_is_refused(two_epochs, begun):
    before = contents(begun)
    with pytest.raises(RunError, match=r"precision 'mixed_bfloat16'.*began with 'float32'"):
        train(two_epochs, run_dir=begun, precision="bfloat16", verbose=0)
    assert contents(begun) == before


def test_after_ctrl_c_the_same_command_goes_on(tmp_path):
    app = dataclasses.replace(apps.Mnist.tiny(), model="softmax", epochs=4)
    whole = trained(app, tmp_path / "whole")
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=1, error=KeyboardInterrupt())
    assert Run.load(path).passport["stopped"] == "interrupted"
    (path / f".123-{CHECKPOINT}").write_text("torn")  # by a kill
    with pytest.raises(Killed):
        trained(app, path, stop=2)
    assert (path / CHECKPOINT).exists()
    assert not (path / PASSPORT).exists()
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=3, error=KeyboardInterrupt())
    resumed = trained(app, path)
    assert rows(resumed) == rows(whole)
    passports = [{**Run.load(run.path).passport} for run in (resumed, whole)]
    for passport in passports:
        del passport["seconds"], passport["examples_per_second"]
    assert passports[0] == passports[1]
    assert {one.name for one in path.iterdir()} == {one.name for one in whole.path.iterdir()}
    with pytest.raises(RunError, match="not empty"):
        trained(app, path)


def test_ctrl_c_before_the_first_checkpoint_is_whole(two_epochs, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "whole", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trained(two_epochs, tmp_path / "run")
    assert Run.load(tmp_path / "run").passport["stopped"] == "interrupted"
    assert len(rows(trained(two_epochs, tmp_path / "run"))) == 2


def test_a_result_without_its_checkpoint_is_kept(two_epochs, tmp_path):
    path = tmp_path / "run"
    app = dataclasses.replace(two_epochs, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=2, error=KeyboardInterrupt())
    (path / CHECKPOINT).unlink()
    with pytest.raises(RunError, match="not empty"):
        trained(app, path)
    assert Run.load(path).passport["epochs"] == 2


DIE = """
import os, pathlib, apps
from training.run import taken
with taken(apps.Mnist(), pathlib.Path("run")) as path:
    (path / "logs" / "events").write_text("some")
    os.kill(os.getpid(), 9)
"""


def test_killed_in_its_first_epoch_it_begins_anew(two_epochs, tmp_path):
    killed = subprocess.run([sys.executable, "-c", DIE], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        trained(two_epochs, tmp_path / "run", stop=0, error=KeyboardInterrupt())
    run = trained(two_epochs, tmp_path / "run")
    assert len(rows(run)) == 2
    assert (run.path / "thesis.txt").read_text() == "mine"
    assert not unfinished(run.path)
    assert not (run.path / UNFINISHED).exists()


def test_killed_before_its_first_word_it_begins_anew(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / UNFINISHED).touch()
    with taken(apps.Mnist(), tmp_path / "run") as path:
        assert (path / UNFINISHED).read_text() == NOTE


def test_a_directory_in_which_a_training_runs_is_refused(two_epochs, begun):
    with taken(two_epochs, begun):
        before = contents(begun)
        with pytest.raises(RunError, match="a training is running"):
            trained(two_epochs, begun)
        assert contents(begun) == before


def test_a_cross_validation_takes_no_interrupted_training(two_epochs, begun):
    before = contents(begun)
    with pytest.raises(RunError, match="not empty"):
        cross_validate(two_epochs, 2, begun)
    assert contents(begun) == before


def test_a_watcher_may_have_seen_enough(tmp_path):
    app = dataclasses.replace(apps.Finetune.tiny(), epochs=3)
    run = trained(app, tmp_path / "run", stop=1, error=EnoughError)
    assert len(rows(Run.load(run.path))) == 1
    with pytest.raises(RunError, match="not empty"):
        trained(app, tmp_path / "run")
