"""Searches: spaces, objectives, trials, and the directory that remains."""

import csv
import dataclasses
import json
import shutil
import subprocess
import sys
import time

import keras
import pytest
from simulated import make_oracle, run_search, trial_rows

import apps
from apps import FieldError, Mnist
from apps.fields import Range
from optimizers import UnknownOptimizerError
from training import fitting, provenance
from training.distributed.cluster import StrategyError
from training.failures import DivergedError
from training.options import TrainOptions
from training.run import CHECKPOINT, Run, RunError
from training.train import train
from tuning import coordinator, figures, objectives, retention, search, search_spec, space, trial
from tuning.options import TuneOptions
from tuning.oracles import SCORE


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_every_app_accepts_values_from_its_space(app):
    for count in (310, 200_000):
        given, values = space.with_batch_size(app(), app.space, count, 1)
        first = space.default(given, values)
        assert first is not None, f"{app.__name__}.space does not hold the app's own values"
        hyperparameters = space.hyperparameters(given, values)
        assert hyperparameters.values == first
        if "batch_size" in first:
            assert first["batch_size"] == app().effective_batch_size(count)
    for seed in range(20):
        values = {one.name: one.random_sample(seed) for one in hyperparameters.space}
        assert isinstance(space.with_values(app(), values), app)


@pytest.mark.parametrize(
    "app", [app for app in apps.ALL if "learning_rate" in app.space], ids=lambda app: app.__name__
)
@pytest.mark.parametrize("count", [100, 310, 200_000])
def test_the_first_trial_has_the_learning_rate_of_train(app, count):
    """A run of few steps trains with a lower rate; with the full one its first trial diverged."""
    steps = app().epochs * fitting.count_steps_for(app(), count, 1)[0]
    expected = app().peak_learning_rate_for(steps)
    given, values = space.with_learning_rate(app(), app.space, steps)
    first = space.default(*space.with_batch_size(given, values, count, 1))
    assert first is not None
    assert first["learning_rate"] == expected
    wanted = app(learning_rate=0.07)
    assert space.with_learning_rate(wanted, app.space, steps) == (wanted, app.space)


def test_a_search_of_few_steps_draws_learning_rates_around_that_of_train():
    spec = search_spec.make(apps.Mnist(epochs=2), TuneOptions())
    spec = spec.for_data(spec.splits(), 1)
    assert spec.app.learning_rate == pytest.approx(0.04)  # 0.2 of 120 steps, for 24 steps
    assert spec.space["learning_rate"] == Range(pytest.approx(0.01), pytest.approx(0.16), log=True)


EXPLICIT, IMPLICIT = ("4", "5"), ("1", "1")  # ratings that alternate


def write_interactions(path, ratings):
    """Write ratings of eight users, each of six of nine items; return the address of the file."""
    pairs = [(u, i) for u in range(8) for i in range(9) if (u + i) % 3]
    rows = [f"u{u},i{i},{ratings[(u + i) % 2]}" for u, i in pairs]
    path.write_text("\n".join(["user,item,rating", *rows, ""]))
    return f"csv:{path}"


LINEAR = {"model": "linear"}


@pytest.mark.parametrize(
    ("app", "fields", "drawn"),
    [
        (apps.Regression, {}, {"learning_rate", "width", "dropout", "batch_size"}),
        (apps.Regression, LINEAR, set()),
        (apps.Regression, LINEAR | {"solver": "minibatch"}, {"learning_rate", "batch_size"}),
        (apps.Regression, LINEAR | {"solver": "batch"}, {"learning_rate"}),
        (apps.Regression, {"model": "svm"}, {"learning_rate", "batch_size"}),
        (apps.Regression, {"model": "mlp", "optimizer": "lbfgs"}, {"width"}),
        (apps.Recommender, {"data": EXPLICIT}, {"model", "factors"}),
        (apps.Recommender, {"data": IMPLICIT}, set()),
        (apps.Recommender, {"data": IMPLICIT, "model": "svdpp"}, set()),
        (apps.Recommender, {"data": EXPLICIT, "model": "retrieval"}, set()),
    ],
)
def test_a_search_varies_only_fields_that_the_model_uses(app, fields, drawn, tmp_path):
    """A model that uses none of them is refused, since all trials would be equal."""
    if "data" in fields:
        fields = fields | {"data": write_interactions(tmp_path / "pairs.csv", fields["data"])}
    made = app(**fields)
    splits = made.load_splits()
    if not drawn:
        with pytest.raises(
            FieldError, match=f"tune of a model that uses none of .* athanor {made.name()} train"
        ):
            space.searchable(made, made.space, splits)
    else:
        assert space.searchable(made, made.space, splits).keys() == drawn
    own = {"seed": (1, 2)}
    assert space.searchable(made, own, splits) == own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width: [64, 128", "expected"),
        ("[]", "expected a YAML file"),
        ("learning_rate: {low: 1, high: 0.1}", "learning_rate"),
        ("learning_rate: {low: 0, high: 0.1, log: true}", "learning_rate"),
        ("dropout: 0.5", "dropout"),
        ("dropout: [0.1, 7]", "--dropout 7"),
        ("droput: [0.1]", "Did you mean 'dropout'"),
        ("dropout: [0.1, none]", "dropout"),
        ("learning_rate: {low: 1e-3, high: 0.1}", "write 0.001"),
        ("data: [embedded, 'tfds:mnist']", "cannot be compared"),
        ("batch_size: {low: 16, high: 64.5}", "a whole number"),
        ("optimizer: [adam, adamm]", "adamm"),
    ],
)
def test_a_wrong_space_is_refused(text, message, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises((FieldError, UnknownOptimizerError), match=message):
        space.check(Mnist(), space.read(path))


def test_values_have_the_type_of_their_field(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("l2: {low: 0, high: 1}\nbatch_size: {low: 16, high: 64}\n")
    drawn = space.hyperparameters(Mnist(), space.read(path)).space
    assert [type(one.random_sample(0)) for one in drawn] == [float, int]


@pytest.mark.parametrize(
    ("objective", "directions"),
    [
        ("", {"val_loss": "min"}),
        ("accuracy", {"val_accuracy": "max"}),
        ("accuracy,latency,size", {"val_accuracy": "max", "latency": "min", "size": "min"}),
    ],
)
def test_objectives_have_directions(objective, directions):
    assert objectives.directions(Mnist(), objective) == directions


@pytest.mark.parametrize(
    "objective", ["acuracy", "size", "accuracy,speed", "latency,accuracy", "accuracy,loss"]
)
def test_wrong_objectives_are_refused(objective):
    with pytest.raises(FieldError, match="--objective"):
        objectives.directions(Mnist(), objective)


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"workers": 0}, {"keep": 0}, {"minutes": -1}])
def test_options_out_of_bounds_are_refused(wrong):
    with pytest.raises(FieldError, match=f"--{next(iter(wrong))}"):
        TuneOptions(**wrong)


def test_pareto_names_three_trials_of_the_front():
    scores = {
        "0": {"score": 0.99, "latency": 9.0, "size": 9.0},
        "1": {"score": 0.98, "latency": 2.0, "size": 2.0},
        "2": {"score": 0.90, "latency": 1.0, "size": 1.0},
        "3": {"score": 0.89, "latency": 2.0, "size": 2.0},
    }
    directions = {"score": "max", "latency": "min", "size": "min"}
    assert objectives.pareto(scores, directions) == (["0", "1", "2"], "0", "1", "2")


@pytest.mark.slow
def test_figures_and_importance(tmp_path):
    oracle = run_search(tmp_path, "random", trials=16)
    assert set(figures.draw(oracle, tmp_path, "val_loss")) == {
        "scores.png",
        "parallel.png",
        "importance.png",
    }
    assert next(iter(figures.importance(oracle))) == "learning_rate"


TINY = dataclasses.replace(Mnist.tiny(), model="softmax", epochs=2)


def tuned(directory, app=TINY, **options):
    options = {"trials": 3, "precision": "float32", **options}
    return search.search(app, TuneOptions(run_dir=directory, **options), verbose=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A finished search of three trials."""
    path = tmp_path_factory.mktemp("search") / "space.yaml"
    # The last batch size is more than there are examples.
    path.write_text("batch_size: [16, 32, 64, 100000]\n")
    return tuned(path.parent / "search", tuner="grid", space=path, trials=4, keep=1)


def test_the_best_trial_is_an_ordinary_run(found):
    best = Run.load(found.directory / "best")
    assert best.app.batch_size == found.oracle.finished()[0].hyperparameters["batch_size"]
    with (found.directory / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == [*["completed"] * 3, "failed"]
    assert "--batch-size 100000" in rows[3]["reason"]
    kept = list(found.directory.glob("trials/*/model.keras"))
    assert len(kept) == 1


def test_a_finished_search_is_not_run_again(found, monkeypatch):
    monkeypatch.setattr("tuning.trial.train", None)
    path = found.directory.parent / "space.yaml"
    again = tuned(found.directory, tuner="grid", space=path, trials=4, keep=1)
    assert trial_rows(again.oracle) == trial_rows(found.oracle)


@pytest.fixture
def another_user(monkeypatch, tmp_path):
    """Another user than the one that searched, with a key of their own."""
    monkeypatch.setenv("ATHANOR_KEY_FILE", str(tmp_path / "another" / "key"))
    provenance._key.cache_clear()
    yield
    provenance._key.cache_clear()


@pytest.mark.usefixtures("another_user")
def test_a_search_of_another_user_is_not_signed(found, tmp_path):
    """Without --trust nothing of it is loaded; with --trust its signatures stay as they are."""
    shutil.copytree(found.directory, tmp_path / "search")
    options = {"tuner": "grid", "space": found.directory.parent / "space.yaml", "trials": 4}
    before = {path: path.read_bytes() for path in tmp_path.rglob(provenance.SIGNATURE_FILE)}
    with pytest.raises(provenance.ProvenanceError, match="--trust"):
        tuned(tmp_path / "search", keep=1, **options)
    options |= {"run_dir": tmp_path / "search", "precision": "float32", "keep": 1, "trust": True}
    trusted = search.search(TINY, TuneOptions(**options), verbose=False)
    assert {path: path.read_bytes() for path in tmp_path.rglob(provenance.SIGNATURE_FILE)} == before
    with pytest.raises(provenance.ProvenanceError):
        provenance.require_signature(trusted.best.path, provenance.RUN_FILES)


def test_a_changed_best_run_is_refused(found, tmp_path):
    shutil.copytree(found.directory, tmp_path / "search")
    model = tmp_path / "search" / "best" / "model.keras"
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(provenance.ProvenanceError, match="changed since"):
        tuned(
            tmp_path / "search",
            tuner="grid",
            space=found.directory.parent / "space.yaml",
            trials=4,
            keep=1,
        )


def test_an_export_of_another_user_is_not_measured(exported, monkeypatch, request):
    run = exported(Mnist)
    request.getfixturevalue("another_user")
    monkeypatch.setattr(objectives.tf.saved_model, "load", None)
    with pytest.raises(provenance.ProvenanceError, match="--trust"):
        objectives.artifact_costs(run)


def test_another_search_is_refused_with_the_difference(found):
    path = found.directory.parent / "space.yaml"
    with pytest.raises(RunError, match=r"epochs 2 there, 3 now"):
        tuned(found.directory, dataclasses.replace(TINY, epochs=3), tuner="grid", space=path)
    stated = found.directory / "search.json"
    before = stated.read_text()
    stated.write_text(json.dumps(json.loads(before) | {"code": "other"}))
    with pytest.raises(RunError, match="code other there"):
        tuned(found.directory, tuner="grid", space=path)
    stated.write_text(before)


class RaiseInSecondEpoch(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        if epoch:
            raise self.error


@pytest.mark.thorough
def test_an_interrupted_trial_continues_and_a_diverged_one_stays_failed(tmp_path):
    task = trial.TrialTask(TINY, tmp_path, {"val_loss": "min"}, "", TrainOptions())
    tuner = trial.FieldsTuner(make_oracle(tmp_path, "random"), task, verbose=False)
    for error, path in ((KeyboardInterrupt(), "one"), (FloatingPointError("loss"), "two")):
        with pytest.raises((KeyboardInterrupt, DivergedError)):
            train(TINY, run_dir=tmp_path / path, verbose=0, callbacks=[RaiseInSecondEpoch(error)])
    assert tuner._finished_run(tmp_path / "one") is None
    assert (tmp_path / "one" / CHECKPOINT).exists()
    assert train(TINY, run_dir=tmp_path / "one", verbose=0).manifest["stopped"] is None
    with pytest.raises(DivergedError):
        tuner._finished_run(tmp_path / "two")


@pytest.mark.slow
def test_a_full_disk_fails_no_trial(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as during:
        during.setattr("tuning.trial.train", full)
        with pytest.raises(OSError, match="No space left"):
            tuned(tmp_path / "search", trials=1)
    again = tuned(tmp_path / "search", trials=1)
    assert {one.status for one in again.oracle.trials.values()} == {"COMPLETED"}


def test_a_worker_does_not_end_a_trial_that_another_worker_took_over(tmp_path):
    oracle = make_oracle(tmp_path, "random")
    task = trial.TrialTask(TINY, tmp_path, {"val_loss": "min"}, "", TrainOptions())
    tuner = trial.FieldsTuner(oracle, task, verbose=False)
    one = oracle.create_trial("tuner0")
    task.path("0000").mkdir(parents=True)
    task.worker_file("0000").write_text("another")
    one.status = "FAILED"
    tuner.on_trial_end(one)
    assert oracle.trials["0000"].status == "RUNNING"
    task.worker_file("0000").write_text("tuner0")
    tuner.on_trial_end(one)
    assert oracle.trials["0000"].status == "FAILED"


def test_a_search_that_cannot_begin_writes_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        tuned(tmp_path / "file")
    with pytest.raises(StrategyError, match="for one device"):
        tuned(tmp_path / "search", strategy="mirrored", devices=1)
    assert not (tmp_path / "search").exists()


def test_kerastuner_variables_are_required_together(monkeypatch):
    assert coordinator.role() == ""
    monkeypatch.setenv(coordinator.ORACLE_IP, "127.0.0.1")
    monkeypatch.setenv(coordinator.TUNER_ID, "chief")
    with pytest.raises(coordinator.WorkerError, match=f"without {coordinator.ORACLE_PORT}"):
        coordinator.role()
    monkeypatch.setenv(coordinator.ORACLE_PORT, "8000")
    assert coordinator.role() == "coordinator"


@pytest.mark.slow
def test_files_that_the_user_added_to_the_best_run_stay(found, tmp_path):
    trials = [tmp_path / name for name in ("one", "two", "three")]
    for path in trials:
        shutil.copytree(found.directory / "best", path)
        (path / "run.json").write_text(json.dumps({"name": path.name}))
    target = tmp_path / "best"
    retention.copy_run(trials[0], target)
    retention.copy_run(trials[1], target)
    assert not (tmp_path / "best-1").exists()
    (target / "export").mkdir()
    retention.copy_run(trials[2], target)
    assert (tmp_path / "best-1" / "export").is_dir()
    assert json.loads((target / "run.json").read_text()) == {"name": "three"}


@pytest.mark.thorough
def test_a_first_trial_that_fails_stops_the_search(tmp_path):
    app = dataclasses.replace(Mnist.tiny(), learning_rate=1e30, schedule="constant")
    app = dataclasses.replace(app, batch_norm=False)
    path = tmp_path / "space.yaml"
    path.write_text("learning_rate: [1.0e+30, 0.1]\n")
    with pytest.raises(search.SearchError, match="first trial failed"):
        tuned(tmp_path / "search", app, space=path)


@pytest.mark.slow
def test_workers_of_the_command_line_survive_kills(tmp_path):
    words = ["mnist", "tune", "--model", "softmax", "--epochs", "2", "--tuner", "random"]
    words += ["--trials", "5", "--batch-size", "64", "--precision", "float32"]
    command = [sys.executable, "-m", "athanor", *words, "--workers", "2", "--run-dir"]
    for seconds in (9, 14):
        with subprocess.Popen([*command, str(tmp_path / "killed")]) as process:
            time.sleep(seconds)
            process.kill()
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    app = Mnist(model="softmax", epochs=2, batch_size=64)
    alone = tuned(tmp_path / "alone", app, tuner="random", trials=5)
    with (tmp_path / "killed" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = {row["trial"]: row[SCORE] for row in rows}
    assert scores == {one["trial"]: str(one[SCORE]) for one in trial_rows(alone.oracle)}


def test_a_directory_with_other_files_is_refused_and_left_unchanged(tmp_path):
    directory = tmp_path / "thesis"
    directory.mkdir()
    (directory / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="not empty and no search"):
        tuned(directory, trials=1)
    assert [path.name for path in directory.iterdir()] == ["thesis.txt"]
