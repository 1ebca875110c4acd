"""A run that was stopped at any epoch ends as one that was not."""

import csv
import dataclasses

import keras
import numpy as np
import pytest

import apps
from training.callbacks import EnoughError
from training.run import CHECKPOINT, Run, RunError
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
    case(apps.Mnist, 2),
    case(apps.Recommender, 2),
    case(apps.Recommender, 3, model="svdpp", optimizer="adam"),
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
    app = dataclasses.replace(apps.Mnist.tiny(), epochs=6, patience=2, learning_rate=1e-9)
    whole = trained(app, tmp_path / "whole")
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=1)
    assert rows(trained(app, tmp_path / "stopped")) == rows(whole)


def test_a_checkpoint_that_cannot_be_read_is_none(tmp_path):
    app = dataclasses.replace(apps.Mnist.tiny(), epochs=2)
    with pytest.raises(Killed):
        trained(app, tmp_path / "run", stop=1)
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-200])
    assert len(rows(trained(app, tmp_path / "run"))) == 2


def test_changed_fields_are_refused(tmp_path):
    app = dataclasses.replace(apps.Mnist.tiny(), epochs=2)
    with pytest.raises(Killed):
        trained(app, tmp_path / "run", stop=1)
    with pytest.raises(RunError, match="epochs 3"):
        trained(dataclasses.replace(app, epochs=3), tmp_path / "run")


def test_a_watcher_may_have_seen_enough(tmp_path):
    app = dataclasses.replace(apps.Finetune.tiny(), epochs=3)
    run = trained(app, tmp_path / "run", stop=1, error=EnoughError)
    assert len(rows(Run.load(run.path))) == 1
    with pytest.raises(RunError, match="not empty"):
        trained(app, tmp_path / "run")
