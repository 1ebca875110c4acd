"""A run directory is complete, describes its training, and survives failures."""

import concurrent.futures
import csv
import dataclasses
import json
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps import FieldError, Mnist, Recommender, Regression
from evaluation import report
from pipelines import embedded
from pipelines.examples import DataError
from pipelines.files import atomic_write
from training import directory, manifest
from training.failures import DivergedError
from training.run import Run, RunError, sets_directory, write_json
from training.train import train

TINY = Mnist.tiny()


def trained(app, path=None, **options):
    return train(app, run_dir=path, **{"precision": "float32", "verbose": 0, **options})


def epochs_of(path):
    with (path / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def hidden_files(path):
    return [file for file in path.rglob("*") if file.name.startswith((".", "tmp"))]


def test_a_run_directory_has_its_files(run):
    names = {path.name for path in run.path.iterdir()}
    assert {"run.json", "history.csv", "model.keras", "logs", "samples.npz"} <= names
    assert list(run.path.glob("logs/**/events.out.tfevents.*"))
    assert not hidden_files(run.path)


def test_history_has_a_row_for_each_epoch(run):
    rows = epochs_of(run.path)
    assert [int(row["epoch"]) for row in rows] == list(range(1, TINY.epochs + 1))
    wanted = {"seconds", "learning_rate", "loss", "val_loss", "accuracy", "val_accuracy"}
    assert wanted <= rows[0].keys()


def test_the_manifest_describes_the_run(run):
    manifest = run.manifest
    assert Mnist.from_json(manifest["fields"]) == TINY == run.app
    assert manifest["fields"]["seed"] == 0
    assert manifest["precision"]["policy"] == "float32"
    assert manifest["data"]["fingerprint"] == TINY.load_splits().fingerprint()
    assert manifest["data"]["sizes"] == TINY.load_splits().sizes
    assert manifest["labels"] == list("0123456789")
    assert manifest["versions"]["keras"] == keras.__version__
    assert manifest["parameters"] == run.model.count_params() - 1  # the temperature
    assert manifest["temperature"] == float(run.model.get_layer("temperature").temperature)
    assert manifest["seconds"]["train"] > 0 < manifest["examples_per_second"]
    assert manifest["epochs"] == TINY.epochs
    assert manifest["stopped"] is None


def test_samples_are_test_images_with_predictions(run):
    raw, answers, labels, thresholds = run.samples
    assert thresholds is None
    assert [label.decode() for label in labels] == list(run.splits.labels)
    np.testing.assert_array_equal(raw, run.splits.test.numpy(slice(64)).features)
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(run.model(raw), answers, atol=1e-5)


@pytest.mark.slow
def test_the_saved_model_is_that_of_the_best_epoch(tmp_path):
    run = trained(Mnist(model="mlp", epochs=3, learning_rate=0.3, l2=0.0), tmp_path / "run")
    best = min(epochs_of(run.path), key=lambda row: float(row["val_loss"]))
    assert run.manifest["best_epoch"] == int(best["epoch"])
    valid = run.splits.valid.numpy()
    predicted = np.asarray(Run.load(run.path).model(valid.features)).argmax(1)
    assert np.mean(predicted == valid.target) == pytest.approx(
        float(best["val_accuracy"]), abs=1e-6
    )


@pytest.mark.slow
def test_bfloat16_is_recorded_and_predictions_are_float32(tmp_path):
    run = trained(TINY, tmp_path / "run", precision="bfloat16")
    assert run.manifest["precision"]["policy"] == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert Run.load(run.path).model.output.dtype == "float32"
    assert report.score(run)["test"]["accuracy"] > 0.8


@pytest.mark.parametrize("name", ["keep.txt", ".keep"])
def test_nothing_is_added_to_a_directory_that_is_not_empty(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        trained(TINY, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name, "here"}


@pytest.mark.parametrize("name", ["keep.txt", ".keep"])
def test_a_directory_that_is_not_empty_stays_unchanged(name, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        trained(TINY, tmp_path / "run")
    assert (tmp_path / "run" / name).read_text() == "mine"


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "run").mkdir()
    assert trained(TINY, tmp_path / "run").path == (tmp_path / "run").resolve()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        trained(TINY, tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (Mnist(batch_size=10**6), FieldError),
        (Mnist(optimizer="adamm"), ValueError),
        (Mnist(data="nowhere"), DataError),
    ],
    ids=["batch size", "optimizer", "data"],
)
def test_a_refused_training_writes_nothing(app, error, elsewhere):
    with pytest.raises(error, match="Received"):
        trained(app)
    assert list(elsewhere.iterdir()) == []


def test_a_batch_of_all_training_examples_is_one_step(tmp_path):
    count = len(TINY.load_splits().train)
    run = trained(Mnist(model="softmax", epochs=1, batch_size=count), tmp_path / "run")
    assert run.manifest["epochs"] == 1
    with pytest.raises(FieldError, match=f"at most the {count} training examples"):
        trained(Mnist(batch_size=count + 1), tmp_path / "other")


def test_divergence_in_the_first_epoch_leaves_no_files(elsewhere):
    app = Mnist(model="mlp", epochs=2, learning_rate=1e20, schedule="constant", batch_norm=False)
    with pytest.raises(DivergedError, match=r"not finite.*at step \d+.*No epoch was finished"):
        trained(app)
    assert not list(elsewhere.rglob("*.keras"))
    assert not list(elsewhere.rglob("run.json"))
    assert not list(elsewhere.glob("runs/mnist/*"))


class NoRateFrom(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is NaN from a step on, counted from 1."""

    def __init__(self, step):
        self.step = step

    def __call__(self, iteration):
        return tf.where(tf.cast(iteration, tf.int32) + 1 < self.step, 0.05, float("nan"))


@pytest.mark.parametrize("step", [1, 4])
def test_divergence_names_the_step(step, monkeypatch):
    """After an update with NaN, the loss of the next step is the first NaN."""
    monkeypatch.setattr(Mnist, "make_schedule", lambda *_: NoRateFrom(step))
    with pytest.raises(DivergedError) as raised:
        trained(TINY)
    assert f"at step {step + 1} " in str(raised.value)


def explosion(step):
    return keras.optimizers.schedules.PiecewiseConstantDecay([step - 1], [0.05, 1e36])


@pytest.mark.thorough
def test_divergence_after_an_epoch_keeps_the_best_model(tmp_path, monkeypatch):
    monkeypatch.setattr(Mnist, "make_schedule", lambda _, steps: explosion(steps // 2 + 5))
    with pytest.raises(DivergedError, match="The best model, of epoch 1, is in"):
        trained(dataclasses.replace(TINY, batch_norm=False), tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert "not finite" in run.manifest["stopped"]
    assert (run.manifest["best_epoch"], len(epochs_of(run.path))) == (1, 1)
    assert report.score(run)["test"]["accuracy"] > 0.5
    assert not hidden_files(run.path)


@pytest.mark.thorough
def test_an_interrupted_run_keeps_the_best_model(tmp_path, monkeypatch):
    interrupt_in_epoch(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        trained(Mnist(model="mlp", epochs=5), tmp_path / "run")
    run = Run.load(tmp_path / "run")
    assert run.manifest["stopped"] == "interrupted"
    assert report.score(run)["test"]["accuracy"] > 0.5


def test_an_interrupt_in_the_first_epoch_leaves_no_files(elsewhere, monkeypatch):
    interrupt_in_epoch(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        trained(TINY)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]


def interrupt_in_epoch(number, monkeypatch):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
            if epoch + 1 == number:
                raise KeyboardInterrupt

    fit = Mnist.fit

    def interrupted(self, model, fit_data, *, callbacks, **options):
        fit(self, model, fit_data, callbacks=[*callbacks, Interrupt()], **options)

    monkeypatch.setattr(Mnist, "fit", interrupted)


@pytest.mark.slow
def test_training_stops_when_validation_stops_improving(tmp_path):
    app = Mnist(model="mlp", epochs=40, patience=1, schedule="constant", learning_rate=0.5)
    manifest = trained(app, tmp_path / "run").manifest
    assert manifest["epochs"] < app.epochs
    assert manifest["epochs"] == manifest["best_epoch"] + app.patience


@pytest.mark.slow
def test_patience_0_never_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(Mnist, "make_schedule", lambda *_: 0.0)
    app = Mnist(model="softmax", epochs=4, augment=0.0)
    assert trained(dataclasses.replace(app, patience=0), tmp_path / "a").manifest["epochs"] == 4
    assert trained(dataclasses.replace(app, patience=1), tmp_path / "b").manifest["epochs"] == 2


def test_changed_data_are_refused(run, monkeypatch):
    digits = embedded.digits()
    fewer = digits._replace(train=digits.train.select(np.arange(1, len(digits.train))))
    monkeypatch.setattr(embedded, "digits", lambda: fewer)
    with pytest.raises(RunError, match="differ from those of the run"):
        _ = Run.load(run.path).splits


@pytest.mark.parametrize("name", ["run.json", "model.keras"])
def test_a_directory_without_a_run_is_refused(name, copied):
    (copied.path / name).unlink()
    with pytest.raises(RunError, match=f"holds no {name}"):
        Run.load(copied.path)


@pytest.mark.parametrize("name", ["run.json", "model.keras"])
def test_a_damaged_file_is_named(name, copied):
    content = (copied.path / name).read_bytes()
    (copied.path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=name):
        _ = Run.load(copied.path).model


def test_a_manifest_whose_columns_do_not_fit_the_data_is_refused(tiny_run, tmp_path):
    run = tiny_run(Regression)
    for change, message in (
        (lambda spec: spec.pop("columns"), "Train again"),
        (lambda spec: spec["columns"].pop("age"), "not those of the data"),
        (lambda spec: spec["columns"].update(age="date"), "no kinds"),
        (lambda spec: spec.update(features=7), "not those of the data"),
    ):
        content = json.loads((run.path / "run.json").read_text())
        change(content["data"]["spec"])
        (tmp_path / "run.json").write_text(json.dumps(content))
        with pytest.raises(RunError, match=message):
            manifest.read(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("app", "question", "answer", "task"),
    [
        (Mnist, "image", "classes", "classification"),
        (Regression, "row", "number", "regression"),
        (Recommender, "ids", "ranking", "ranking"),
    ],
)
def test_run_json_has_the_old_names_of_modality_and_task(tiny_run, app, question, answer, task):
    run = tiny_run(app)
    written = json.loads((run.path / "run.json").read_text())
    assert (written["question"], written["answer"]) == (question, answer)
    assert (run.modality, run.task) == (question, task)


def test_a_model_loaded_inside_a_tf_function_predicts_the_same(tiny_run):
    run = tiny_run(Regression)
    inputs, fresh = run.splits.valid.features, Run.load(run.path)
    inside = tf.function(lambda: fresh.model(inputs))()
    outside = run.model(inputs)
    np.testing.assert_allclose(inside, outside, rtol=1e-5)  # sums in another order


def test_a_step_is_traced_once(monkeypatch):
    traced = []
    train_step = keras.Model.train_step

    def step(model, *arguments):
        traced.append(model)
        return train_step(model, *arguments)

    monkeypatch.setattr(keras.Model, "train_step", step)
    trained(Mnist(model="softmax", epochs=2))
    assert len(traced) == 1


def test_latest_points_at_the_newest_run(elsewhere):
    app = Mnist(model="softmax", epochs=1)
    paths = [trained(app).path for _ in range(2)]
    assert paths[0] != paths[1]
    latest = elsewhere / "runs" / "mnist" / "latest"
    assert latest.is_symlink()
    assert latest.resolve() == paths[1]
    assert Run.load(latest).path == paths[1]
    trained(app, elsewhere / "a name of its own")
    assert latest.resolve() == paths[1]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError, match="halfway"), atomic_write(path) as beside:
        beside.write_text('{"new"')
        raise RuntimeError("halfway")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"new": float("nan")})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.glob("*file*")] == ["file.json"]


def test_runs_that_start_in_the_same_second_have_separate_directories(monkeypatch):
    """Eight threads start at once, as eight processes would."""
    monkeypatch.setattr(directory.time, "strftime", lambda _: "20260101-000000")
    app, together = Mnist(), threading.Barrier(8)

    def begin(_):
        together.wait()
        with directory.reserve(app, None) as path:
            together.wait()
            return path.name

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        names = sorted(pool.map(begin, range(8)))
    expected = ["20260101-000000", *(f"20260101-000000-{number}" for number in range(2, 9))]
    assert names == sorted(expected)
    assert not list(Path().glob("runs/mnist/*"))  # no epoch was trained


def test_a_refused_training_removes_only_its_directory():
    Path("runs/mnist").mkdir(parents=True)
    with directory.reserve(Mnist(), None) as path:
        assert path.parent == Path("runs/mnist").resolve()
    assert [one.name for one in Path("runs").iterdir()] == ["mnist"]
    assert not list(Path("runs/mnist").iterdir())


@pytest.mark.thorough
def test_a_run_remembers_the_data_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sets").mkdir()
    trained(TINY, tmp_path / "run", data_dir=Path("~/sets"))
    assert json.loads((tmp_path / "run/run.json").read_text())["data"]["directory"] == "~/sets"
    assert Run.load(tmp_path / "run").data_dir == tmp_path / "sets"
    assert Run.load(tmp_path / "run", tmp_path / "moved").data_dir == tmp_path / "moved"
    (tmp_path / "sets").rmdir()
    assert Run.load(tmp_path / "run").data_dir is None, "TFDS's own directory, or TFDS_DATA_DIR"


def test_a_run_remembers_the_data_directory_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert sets_directory(TINY, None) is None, "it reads no such set"
    app = dataclasses.replace(TINY, data="tfds:mnist")
    assert sets_directory(app, None) == str(tmp_path)
    assert sets_directory(app, tmp_path / "given") == str(tmp_path / "given")
