"""A training that is interrupted and resumed ends with the results of an uninterrupted one."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import apps
from apps.finetune import two_stage
from cli import output as console
from evaluation import cross_validation, replay, report
from pipelines import embedded
from pipelines.splits import Fold
from training import checkpoint, directory, fitting, resume
from training.callbacks import StopTrainingError, StopWhenDiverged
from training.directory import MARKER_FILE, MARKER_TEXT, create_run_directory, is_resumable, reserve
from training.failures import DivergedError
from training.interrupts import Interrupts
from training.options import TrainOptions
from training.run import CHECKPOINT, MANIFEST, Run, RunError
from training.train import train


class Killed(BaseException):
    """Ends training as a killed process does: no callback handles it."""


class StopAt(keras.callbacks.Callback):
    """Raises an error after some calls of an epoch."""

    def __init__(self, epoch, error, calls=0):
        super().__init__()
        self.stop, self.error = (epoch, calls), error

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.now = (epoch, 0)
        self._stop()

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.now = (self.now[0], self.now[1] + 1)
        self._stop()

    def _stop(self):
        if self.now == self.stop:
            raise self.error


@pytest.fixture
def two_epochs():
    """The smallest app that can be stopped after a finished epoch."""
    return dataclasses.replace(apps.Mnist.tiny(), model="softmax", epochs=2)


@pytest.fixture(scope="session")
def whole(made_once):
    """An uninterrupted run of `two_epochs`."""

    def write(path):
        trained(dataclasses.replace(apps.Mnist.tiny(), model="softmax", epochs=2), path)

    return Run.load(made_once("whole-softmax", write))


@pytest.fixture
def begun(two_epochs, made_once, tmp_path):
    """The directory of a training of `two_epochs` that was killed in its second epoch."""

    def write(path):
        with pytest.raises(Killed):
            trained(two_epochs, path, stop=1)

    shutil.copytree(made_once("begun", write), tmp_path / "run")
    return tmp_path / "run"


def contents(path):
    return {one: one.is_file() and one.read_bytes() for one in path.rglob("*")}


def trained(app, path, *, stop=None, calls=0, error=Killed, **options):
    callbacks = [] if stop is None else [StopAt(stop, error, calls)]
    options = {"precision": "float32", "checkpoint_every": 0, **options}
    return train(app, run_dir=path, verbose=0, callbacks=callbacks, **options)


def rows(run):
    with (run.path / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def newest(path):
    return directory.checkpoint_paths(path)[0]


def assert_same(run, other):
    assert rows(run) == rows(other)
    for one, same in zip(run.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
    assert run.manifest["best_epoch"] == other.manifest["best_epoch"]
    saved = [
        keras.saving.load_model(one.path / "model.keras").get_weights() for one in (run, other)
    ]
    for one, same in zip(*saved, strict=True):
        np.testing.assert_array_equal(one, same)
    with np.load(run.path / "samples.npz") as one, np.load(other.path / "samples.npz") as same:
        np.testing.assert_array_equal(one["answers"], same["answers"])


def case(app, stop, *marks, calls=2, **fields):
    name = "-".join([app.__name__, str(stop), str(calls), *map(str, fields.values())])
    return pytest.param(app, fields, stop, calls, id=name, marks=marks)


SLOW = pytest.mark.slow
CASES = [
    case(apps.Mnist, 1, dropout=0.2),
    case(apps.Mnist, 2, SLOW, calls=0),
    case(apps.Mnist, 1, SLOW, optimizer="adan"),
    case(apps.Mnist, 0, SLOW, optimizer="schedulefree"),
    case(apps.Recommender, 2, SLOW, calls=0),
    case(apps.Recommender, 3, SLOW, calls=0, model="svdpp", optimizer="adam"),
    case(apps.Finetune, 3, SLOW),  # in the second stage
    case(apps.Finetune, 1, SLOW, calls=0),  # in the first
    case(apps.Regression, 2, SLOW),
    case(apps.Regression, 2, SLOW, model="blend"),
    case(
        apps.Regression, 4, pytest.mark.thorough, calls=0, model="blend"
    ),  # in the epoch that weighs the parts
    case(apps.Regression, 1, SLOW, optimizer="schedulefree"),
    case(apps.Regression, 2, SLOW, calls=0),
    case(apps.Text, 2, SLOW),
    case(apps.Text, 2, SLOW, calls=0),
]


@pytest.mark.parametrize(("app", "fields", "stop", "calls"), CASES)
def test_a_resumed_training_equals_an_uninterrupted_one(
    app, fields, stop, calls, tmp_path, monkeypatch
):
    for module in (fitting, two_stage):
        monkeypatch.setattr(module, "MAX_STEPS_PER_EXECUTION", 2)  # several calls an epoch
    app = dataclasses.replace(app.tiny(), epochs=4, **fields)
    undisturbed = trained(app, tmp_path / "undisturbed", checkpoint_every=1e9)
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=stop, calls=calls)
    found = resume.newest_checkpoint(tmp_path / "stopped")
    assert (found.position.epoch, bool(found.position.step)) == (stop, calls > 0)
    resumed = trained(app, tmp_path / "stopped")
    assert_same(resumed, undisturbed)
    assert not (resumed.path / CHECKPOINT).exists()
    with (resumed.path / "history.csv").open() as file:
        epochs = sum(float(row["seconds"]) for row in csv.DictReader(file))
    assert resumed.manifest["seconds"]["train"] >= epochs


@pytest.mark.slow
def test_early_stopping_counts_epochs_before_the_interruption(tmp_path):
    fields = {"model": "softmax", "epochs": 6, "patience": 2, "learning_rate": 1e-9}
    app = dataclasses.replace(apps.Mnist.tiny(), **fields)
    whole = trained(app, tmp_path / "whole")
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=1)
    assert rows(trained(app, tmp_path / "stopped")) == rows(whole)


def cut(content):
    return content[:-200]


def flipped(content):
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        *(
            pytest.param(damage, marks=pytest.mark.thorough)
            for damage in (flipped, lambda _: b"", lambda _: b"PK\x03\x04" * 9)
        ),
    ],
)
def test_the_older_checkpoint_replaces_a_damaged_one(damage, two_epochs, begun, capfd, whole):
    last = newest(begun)
    last.write_bytes(damage(last.read_bytes()))
    assert_same(trained(two_epochs, begun), whole)
    assert f"{last} is damaged" in capfd.readouterr().err


def test_training_restarts_if_all_checkpoints_are_damaged(two_epochs, begun, whole):
    for path in directory.checkpoint_paths(begun):
        path.write_bytes(flipped(path.read_bytes()))
    assert_same(trained(two_epochs, begun), whole)


def test_a_damaged_best_model_and_history_are_restored(two_epochs, begun, whole):
    for name in ("model.keras", "history.csv"):
        (begun / name).write_text("damaged")
    assert_same(trained(two_epochs, begun), whole)


def test_two_checkpoints_are_kept(begun):
    assert len(directory.checkpoint_paths(begun)) == 2


def test_checkpoints_wait_until_their_cost_is_a_small_share(two_epochs, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(resume, "write", lambda *_: written.append(time.perf_counter()))
    monkeypatch.setattr(checkpoint, "MIN_CHECKPOINT_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "CHECKPOINT_COST_SHARE", 1e-9)
    trained(dataclasses.replace(two_epochs, epochs=4), tmp_path / "run", checkpoint_every=None)
    assert len(written) == 2  # the first one; one whose cost was not known


@pytest.mark.parametrize("note", [None, "", "finish chapter 3"], ids=repr)
def test_a_directory_with_files_of_the_user_is_never_used(note, two_epochs, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (mine / CHECKPOINT).mkdir()
    (mine / CHECKPOINT / "000003.checkpoint").write_text("mine")
    if note is not None:
        (mine / MARKER_FILE).write_text(note)
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


@pytest.mark.slow
def test_cleaning_up_keeps_files_of_the_user(two_epochs, tmp_path):
    run, empty = tmp_path / "run", tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(two_epochs, run_dir=run, verbose=0, callbacks=[Write(run / "thesis.txt")])
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
    with pytest.raises(RunError, match=r"Received data fingerprint '\w+'.*instead of '\w+'"):
        trained(two_epochs, begun)
    assert contents(begun) == before


def test_another_precision_is_refused(two_epochs, begun):
    before = contents(begun)
    with pytest.raises(RunError, match=r"precision 'mixed_bfloat16' instead of 'float32'"):
        train(two_epochs, run_dir=begun, precision="bfloat16", verbose=0)
    assert contents(begun) == before


@pytest.mark.slow
def test_the_same_command_resumes_after_ctrl_c(tmp_path):
    app = dataclasses.replace(apps.Mnist.tiny(), model="softmax", epochs=4)
    whole = trained(app, tmp_path / "whole")
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=1, error=KeyboardInterrupt())
    assert Run.load(path).manifest["stopped"] == "interrupted"
    (path / CHECKPOINT / ".123-000009.checkpoint").write_text("torn")  # by a kill
    with pytest.raises(Killed):
        trained(app, path, stop=2)
    assert (path / CHECKPOINT).exists()
    assert not (path / MANIFEST).exists()
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=3, error=KeyboardInterrupt())
    resumed = trained(app, path)
    assert rows(resumed) == rows(whole)
    manifests = [{**Run.load(run.path).manifest} for run in (resumed, whole)]
    for manifest in manifests:
        del manifest["seconds"], manifest["examples_per_second"]
    assert manifests[0] == manifests[1]
    assert {one.name for one in path.iterdir()} == {one.name for one in whole.path.iterdir()}
    with pytest.raises(RunError, match="not empty"):
        trained(app, path)


def test_a_stopped_run_without_a_checkpoint_is_not_overwritten(two_epochs, tmp_path):
    path = tmp_path / "run"
    app = dataclasses.replace(two_epochs, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        trained(app, path, stop=2, error=KeyboardInterrupt())
    shutil.rmtree(path / CHECKPOINT)
    with pytest.raises(RunError, match="not empty"):
        trained(app, path)
    assert Run.load(path).manifest["epochs"] == 2


DIE = """
import os, pathlib, apps
from training.directory import reserve
with reserve(apps.Mnist(), pathlib.Path("run")) as path:
    (path / "logs" / "events").write_text("some")
    os.kill(os.getpid(), 9)
"""


def test_a_training_killed_in_its_first_epoch_restarts(two_epochs, tmp_path):
    killed = subprocess.run([sys.executable, "-c", DIE], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        trained(two_epochs, tmp_path / "run", stop=0, error=KeyboardInterrupt())
    run = trained(two_epochs, tmp_path / "run")
    assert len(rows(run)) == 2
    assert (run.path / "thesis.txt").read_text() == "mine"
    assert not is_resumable(run.path)
    assert not (run.path / MARKER_FILE).exists()


def test_a_training_killed_with_an_empty_marker_file_restarts(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / MARKER_FILE).touch()
    with reserve(apps.Mnist(), tmp_path / "run") as path:
        assert (path / MARKER_FILE).read_text() == MARKER_TEXT


def test_a_directory_in_which_a_training_runs_is_refused(two_epochs, begun):
    with reserve(two_epochs, begun):
        before = contents(begun)
        with pytest.raises(RunError, match="a training is running"):
            trained(two_epochs, begun)
        assert contents(begun) == before


def test_cross_validation_refuses_the_directory_of_a_training(two_epochs, begun):
    before = contents(begun)
    with pytest.raises(RunError, match="not empty"):
        cross_validation.cross_validate(two_epochs, 2, TrainOptions(run_dir=begun))
    assert contents(begun) == before


@pytest.mark.slow
def test_a_callback_may_stop_training_for_good(tmp_path):
    app = dataclasses.replace(apps.Finetune.tiny(), epochs=3)
    run = trained(app, tmp_path / "run", stop=1, error=StopTrainingError)
    assert len(rows(Run.load(run.path))) == 1
    with pytest.raises(RunError, match="not empty"):
        trained(app, tmp_path / "run")


class Signalled(keras.callbacks.Callback):
    """Sends a signal to this process after a call of the second epoch."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        if self.epoch == 1 and self.number:
            os.kill(os.getpid(), self.number)
            self.number = 0


@pytest.mark.parametrize(
    ("number", "status"), [pytest.param(signal.SIGINT, 130, marks=SLOW), (signal.SIGTERM, 143)]
)
def test_a_signal_writes_a_checkpoint_of_the_current_step(
    number, status, two_epochs, tmp_path, monkeypatch
):
    monkeypatch.setattr(fitting, "MAX_STEPS_PER_EXECUTION", 4)
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt, match="mnist train --resume") as raised:
        train(
            two_epochs, run_dir=path, precision="float32", verbose=0, callbacks=[Signalled(number)]
        )
    assert console.explain(raised.value)[0] == status
    assert resume.newest_checkpoint(path).position[:5] == (1, 0, 1, False, 3)
    assert Run.load(path).manifest["stopped"] == "interrupted"
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    undisturbed = trained(two_epochs, tmp_path / "undisturbed")
    assert_same(trained(two_epochs, path), undisturbed)


def test_the_manifest_lists_forced_differences(two_epochs, begun):
    run = trained(dataclasses.replace(two_epochs, epochs=3), begun, force=True)
    assert run.manifest["forced"] == ["epochs 3 instead of 2"]
    assert len(rows(run)) == 3
    with pytest.raises(RunError, match="in spite of epochs 3 instead of 2"):
        replay.replay(run, begun / "again")


def test_another_model_cannot_be_forced(two_epochs, begun):
    with pytest.raises(RunError, match="shapes are not those"):
        trained(dataclasses.replace(two_epochs, model="mlp"), begun, force=True)


def test_a_full_disk_stops_it_and_damages_nothing(two_epochs, begun, whole, monkeypatch):
    before = newest(begun).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as during:
        during.setattr(resume, "write", full)
        with pytest.raises(
            OSError, match=r"full disk .* MB free; expected about [\d.]+ MB.*--resume"
        ):
            trained(two_epochs, begun)
    assert newest(begun).read_bytes() == before
    assert_same(trained(two_epochs, begun), whole)


def bursts(app, steps):
    """Return a schedule that diverges, or the learning rate that --on-nan halve has set."""
    if app.learning_rate is None:
        return keras.optimizers.schedules.PiecewiseConstantDecay([steps // 2 + 4], [0.05, 1e36])
    return app.learning_rate


@pytest.mark.slow
def test_on_nan_halve_continues_from_the_last_epoch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(apps.Mnist, "make_schedule", bursts)
    monkeypatch.setattr(fitting, "MAX_STEPS_PER_EXECUTION", 4)
    app = dataclasses.replace(apps.Mnist.tiny(), model="mlp", batch_norm=False, epochs=2)
    undisturbed = trained(app, tmp_path / "undisturbed", checkpoint_every=None, on_nan="halve")
    assert "continues after epoch 1 with half of it" in capsys.readouterr().out
    (halving,) = undisturbed.manifest["halvings"]
    assert halving[0] > len(app.load_splits().train) // app.effective_batch_size(10**6)
    highest = app.peak_learning_rate_for(2 * fitting.count_steps(app, app.load_splits())[0])
    assert float(rows(undisturbed)[1]["learning_rate"]) == pytest.approx(highest / 2)
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=1, on_nan="halve")
    assert_same(trained(app, tmp_path / "stopped", on_nan="halve"), undisturbed)


@pytest.mark.slow
def test_the_learning_rate_is_halved_at_most_three_times(tmp_path, capsys):
    fields = {"model": "mlp", "learning_rate": 1e20, "schedule": "constant", "batch_norm": False}
    app = dataclasses.replace(apps.Mnist.tiny(), **fields)
    with pytest.raises(DivergedError, match="not finite"):
        trained(app, tmp_path / "run", on_nan="halve")
    assert capsys.readouterr().out.count("with half of it") == 3


def test_a_loss_far_above_the_first_one_counts_as_divergence():
    watch = StopWhenDiverged()
    for loss in (2.3, 1.9, 200.0):
        watch.on_train_batch_end(0, {"loss": loss})
    with pytest.raises(FloatingPointError, match=r"a loss of 240, after a first one of 2.3"):
        watch.on_train_batch_end(0, {"loss": 240.0})


def test_resume_reads_the_fields_of_the_run(two_epochs, begun, whole, tmp_path):
    for path in (begun, whole.path):
        known = resume.load_identity(path, apps.Mnist)
        assert apps.Mnist.from_json(known.fields) == two_epochs
    with pytest.raises(RunError, match="a run of mnist, for text"):
        resume.load_identity(begun, apps.Text)
    with pytest.raises(RunError, match="has no run"):
        resume.load_identity(tmp_path, apps.Mnist)


def test_the_command_line_resumes_a_run(begun, whole, run_cli):
    words = ("mnist", "train", "--resume", str(begun))
    status, _, err = run_cli(*words, "--epochs", "3")
    assert status == 2
    assert "epochs 3 instead of 2" in err
    status, out, _ = run_cli(*words)
    assert status == 0
    assert "continues after epoch 1" in out
    assert_same(Run.load(begun), whole)
    status, out, _ = run_cli(*words)
    assert status == 0
    assert "is trained already" in out
    status, _, err = run_cli(*words, "--epochs", "3")
    assert status == 2
    assert "not empty" in err


@pytest.mark.parametrize("by", ["--data-dir", "TFDS_DATA_DIR"])
@pytest.mark.thorough
def test_a_resumed_run_finds_its_data_directory(by, run_cli, tmp_path, monkeypatch):
    """The checkpoint of a killed training names the data directory."""
    sets = Path(os.environ.get("TFDS_DATA_DIR", ""))
    if not (sets / "wine_quality/white").is_dir():
        pytest.skip("needs TFDS_DATA_DIR or ../shared/tfds with the prepared set wine_quality")
    app = apps.Regression(
        data="tfds:wine_quality/white", target="quality", model="mlp", width=2, epochs=2
    )
    if by == "--data-dir":
        monkeypatch.delenv("TFDS_DATA_DIR")
    with pytest.raises(Killed):
        trained(app, tmp_path / "run", stop=1, data_dir=sets if by == "--data-dir" else None)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    status, out, err = run_cli("regression", "train", "--resume", tmp_path / "run")
    assert status == 0, err
    assert "continues after epoch 1" in out
    assert len(rows(Run.load(tmp_path / "run"))) == 2
    assert Run.load(tmp_path / "run").data_dir == sets
    assert run_cli("regression", "train", "--resume", tmp_path / "run")[0] == 0


def test_the_command_line_replays_a_run(whole, run_cli, tmp_path):
    status, out, _ = run_cli("replay", str(whole.path))
    assert status == 0
    assert "bit-equal" in out
    stranger = shutil.copytree(whole.path, tmp_path / "stranger")
    (stranger / "origin.txt").unlink()
    status, _, err = run_cli("replay", str(stranger))
    assert status == 2
    assert "--trust" in err


@pytest.mark.parametrize(
    ("then", "largest"), [("7.11", pytest.approx(0.9, abs=0.1)), ("nan", None)]
)
def test_a_replay_that_differs_exits_with_1_and_one_json_object(
    then, largest, whole, run_cli, tmp_path
):
    path = shutil.copytree(whole.path, tmp_path / "run")
    lines = (path / "history.csv").read_text().splitlines()
    place = lines[0].split(",").index("loss")
    lines[2] = ",".join([*lines[2].split(",")[:place], then, *lines[2].split(",")[place + 1 :]])
    (path / "history.csv").write_text("\n".join(lines))
    status, out, err = run_cli("replay", path, "--json")
    assert status == 1
    told = json.loads(out, parse_constant=pytest.fail)
    assert told["verdict"] == "different"
    assert told["first"].startswith("epoch 2, loss: ")
    assert told["largest"] == largest
    assert len(out.splitlines()) == 1
    assert f"whose second training differs: {told['first']}; expected" in err


def test_a_finished_training_is_not_repeated(two_epochs, whole, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(whole.path, path)
    options = TrainOptions(run_dir=path)
    assert resume.find_finished_run(two_epochs, options).path == path
    report.score(Run.load(path))  # then the process ended before the command
    assert resume.find_finished_run(two_epochs, options).path == path
    assert resume.find_finished_run(two_epochs, options, fold=Fold(1, 2)) is None
    (tmp_path / "list.csv").write_text("key,where\n")
    listed = dataclasses.replace(options, quarantine=tmp_path / "list.csv")
    assert resume.find_finished_run(two_epochs, listed) is None
    assert resume.find_finished_run(dataclasses.replace(two_epochs, epochs=3), options) is None


def test_a_replay_is_bit_equal_or_names_the_first_number(whole, tmp_path):
    run = Run.load(shutil.copytree(whole.path, tmp_path / "run"))
    found = replay.replay(run, tmp_path / "again", verbose=0)
    assert (found.verdict, found.first, found.elsewhere) == ("bit-equal", "", [])
    assert found.compared > 650
    lines = (run.path / "history.csv").read_text().splitlines()
    number = lines[2].split(",")[2]
    changed = [lines[0], lines[1], lines[2].replace(number, str(float(number) * 1.00001))]
    (run.path / "history.csv").write_text("\n".join(changed))
    other = replay._compare(run, Run.load(tmp_path / "again"))
    assert other.verdict == "within tolerance"
    assert other.first.startswith("epoch 2, ")
    (run.path / "history.csv").write_text("\n".join(changed).replace(number[:4], "7.11"))
    assert replay._compare(run, Run.load(tmp_path / "again")).verdict == "different"


def test_a_replay_with_other_variables_is_different(whole, two_epochs, tmp_path):
    run = Run.load(shutil.copytree(whole.path, tmp_path / "run"))
    # As if the data gave another model now.
    other = trained(dataclasses.replace(two_epochs, model="mlp"), tmp_path / "other")
    report.score(other)
    assert len(other.model.weights) != len(run.model.weights)
    assert replay._compare(run, other).verdict == "different"


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_a_replay_of_every_app_is_bit_equal(app, tiny_run, tmp_path):
    run = Run.load(shutil.copytree(tiny_run(app).path, tmp_path / "run"))
    report.score(run)
    found = replay.replay(run, tmp_path / "again", verbose=0)
    assert (found.verdict, found.first) == ("bit-equal", "")


@pytest.mark.parametrize("name", ["history.csv", "scores.json"])
def test_a_replay_that_cannot_be_compared_is_refused(name, whole, tmp_path):
    run = Run.load(shutil.copytree(whole.path, tmp_path / "run"))
    (run.path / name).write_text("garbage")
    with pytest.raises(RunError, match=f"{name}"):
        replay.replay(run, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.thorough
def test_interrupted_folds_resume(two_epochs, tmp_path, monkeypatch):
    app, path, made = two_epochs, tmp_path / "folds", []
    usual = cross_validation.train

    def counted(app, options, *, fold, **others):
        made.append(fold.number)
        if fold.number == 2 and len(made) == 2:
            others["callbacks"] = [Signalled(signal.SIGINT)]
        return usual(app, options, fold=fold, **others)

    monkeypatch.setattr(cross_validation, "train", counted)
    options = TrainOptions(run_dir=path, precision="float32", checkpoint_every=0)
    with pytest.raises(KeyboardInterrupt, match=f"the same command with --run-dir {path}"):
        cross_validation.cross_validate(app, 2, options, verbose=0)
    # Another number of folds needs another directory.
    with pytest.raises(RunError, match="not empty"):
        cross_validation.cross_validate(app, 3, options, verbose=0)
    first = (path / "fold-1" / "run.json").read_bytes()
    found = cross_validation.cross_validate(app, 2, options, verbose=0)
    assert made == [1, 2, 1, 2]
    assert (path / "fold-1" / "run.json").read_bytes() == first
    assert found["examples"] == 1797
    assert cross_validation.cross_validate(app, 2, options, verbose=0) == found


def test_signals_that_the_process_ignores_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with interrupts.handle_signals():
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGTERM) == interrupts._receive
        assert not interrupts.pending_signal
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_broken_link_as_run_directory_is_refused(tmp_path, monkeypatch):
    """Every name under a link to a missing disk seems to exist, and none can be created."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/mnist").symlink_to(tmp_path / "absent" / "disk")
    with pytest.raises(RunError, match="runs/mnist"):
        create_run_directory(apps.Mnist())


def test_runs_of_the_same_second_have_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "20261130-000000")
    names = [create_run_directory(apps.Mnist()).name for _ in range(3)]
    assert names == ["20261130-000000", "20261130-000000-2", "20261130-000000-3"]


def test_the_seconds_of_a_resumed_training_count_once(two_epochs, begun, monkeypatch):
    """The state of the checkpoint stays as it was read; new epochs are none of its own."""
    state = resume.find_checkpoint(begun)
    seconds = state.seconds
    assert seconds > 0
    monkeypatch.setattr(resume, "find_checkpoint", lambda _: state)
    run = trained(two_epochs, begun)
    assert run.manifest["epochs"] == 2
    assert state.seconds == seconds
