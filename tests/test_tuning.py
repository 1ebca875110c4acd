"""Searches: what they draw, what they keep, and that a kill at any instant changes nothing."""

import csv
import dataclasses
import json
import math
import random
import shutil
import subprocess
import sys
import time

import keras
import pytest

import apps
from apps import FieldError, Mnist
from apps.app import Range
from optimizers import UnknownOptimizerError
from training.cluster import StrategyError
from training.run import CHECKPOINT, Run, RunError
from training.train import DivergedError, train
from tuning import chief, identity, keeping, objectives, pictures, report, search, space, trial
from tuning.journal import Journal, JournalError, UnwrittenError
from tuning.oracles import LAUNCHES, SCORE, Limits

SPACE = {
    "learning_rate": Range(0.01, 1.0, log=True),
    "batch_size": (32, 64, 96),
    "model": ("cnn", "mlp"),
}
TUNERS = ("tpe", "random", "grid", "bayesian", "hyperband")
EPOCHS = 4


def opened(directory, tuner="tpe", trials=12, workers=1, ways=None, **limits):
    app = Mnist(epochs=EPOCHS)
    told = identity.Told(app, SPACE, tuner, ways or {"val_loss": "min"}, {})
    oracle = search._oracle(told)
    directory.mkdir(exist_ok=True)
    oracle.open(directory, Limits(trials, workers=workers, **limits), space.default(app, SPACE))
    return oracle


def loss(values, step):
    """As of a training: better with every epoch, best at a learning rate of 0.1."""
    size = {"cnn": 0.0, "mlp": 0.3}[values["model"]] + values["batch_size"] / 1000
    return abs(math.log10(values["learning_rate"]) + 1) + size + 1 / step


class Worker:
    """One that works a call at a time, so that another may come between."""

    def __init__(self, name):
        self.name, self.trial, self.step = name, None, 0

    def act(self, oracle):
        """The next call; False where there is nothing left to do."""
        if self.trial is None:
            trial = oracle.create_trial(self.name)
            if trial.status == "RUNNING":
                self.trial = trial
                self.step = len(oracle.reports[trial.trial_id])
            return trial.status != "STOPPED"
        epochs = self.trial.hyperparameters.values.get("tuner/epochs", EPOCHS)
        if self.step < epochs:
            self.step += 1
            score = loss(self.trial.hyperparameters.values, self.step)
            answer = oracle.update_trial(self.trial.trial_id, {SCORE: score}, step=self.step)
            if answer.status == "RUNNING":
                return True
        self.trial.status = "COMPLETED"
        oracle.end_trial(self.trial)
        self.trial = None
        return True


def searched(directory, tuner, workers=1, kill=None, **options):
    """A search to its end; `kill` says after which calls all processes end."""
    oracle = opened(directory, tuner, workers=workers, **options)
    crew = [Worker(f"worker-{number}") for number in range(workers)]
    for call in range(1000):
        working = crew[call % len(crew)] if crew else None
        if working is None:
            return oracle
        if not working.act(oracle):
            crew.remove(working)
        elif kill and kill(call):
            oracle = opened(directory, tuner, workers=workers, **options)
            crew = [Worker(f"worker-{number}") for number in range(workers)]
    raise AssertionError("the search has no end")


def told(oracle):
    return [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in report.table(oracle)
    ]


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_killed_again_and_again_finds_the_same(tuner, tmp_path):
    draw = random.Random(1)
    undisturbed = searched(tmp_path / "a", tuner)
    killed = searched(tmp_path / "b", tuner, kill=lambda _: draw.random() < 0.4)
    assert told(killed) == told(undisturbed)
    assert len(undisturbed.trials) >= 6
    assert all(trial.status == "COMPLETED" for trial in killed.trials.values())


@pytest.mark.parametrize("tuner", ["bayesian", "tpe", "random", "grid"])
def test_two_workers_killed_at_random_find_the_same(tuner, tmp_path):
    undisturbed = searched(tmp_path / "a", tuner, workers=2)
    draw = random.Random(0)
    killed = searched(tmp_path / "b", tuner, workers=2, kill=lambda _: draw.random() < 0.2)
    assert told(killed) == told(undisturbed)


@pytest.mark.parametrize("tuner", ["bayesian", "tpe"])
def test_what_learns_finds_better_than_chance_and_stops_poor_trials(tuner, tmp_path):
    learnt = searched(tmp_path / tuner, tuner, trials=25)
    chance = searched(tmp_path / "random", "random", trials=25)
    assert learnt.finished()[0].score < chance.finished()[0].score
    assert learnt.pruned
    assert not chance.pruned
    assert all(len(learnt.reports[one]) < EPOCHS for one in learnt.pruned)
    steps = [sum(len(reports) for reports in one.reports.values()) for one in (learnt, chance)]
    assert steps[0] < steps[1]


def test_a_trial_is_judged_by_its_own_epochs():
    when = search.judged(apps.Finetune(epochs=8, head_epochs=10))
    assert when({}) == (12, 18)
    assert when({"epochs": 4, "head_epochs": 2}) == (3, 6)
    assert search.judged(Mnist(epochs=1))({}) == (1, 1)  # never


def test_the_first_trial_has_the_flags_as_given(tmp_path):
    for tuner in sorted({*TUNERS} - {"hyperband"}):
        oracle = opened(tmp_path / tuner, tuner)
        values = oracle.create_trial("one").hyperparameters.values
        assert values == {"learning_rate": 0.2, "batch_size": 96, "model": "cnn"}


def test_whole_numbers_stay_within_their_range():
    space_of = {"width": Range(16, 64, log=True), "batch_size": Range(32, 96)}
    told = identity.Told(apps.Regression(), space_of, "bayesian", {"val_loss": "min"}, {})
    oracle = search._oracle(told)
    assert oracle._values([1 - 1e-9, 1 - 1e-9]) == {"width": 64, "batch_size": 96}
    assert oracle._values([0.0, 0.0]) == {"width": 16, "batch_size": 32}


def test_a_line_torn_by_the_kill_never_happened(tmp_path):
    searched(tmp_path, "random", trials=3)
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1]), 7):
        journal.write_bytes(whole[:-cut])
        assert len(Journal(journal).events()) == whole.count(b"\n") - 1
        assert (
            journal.read_bytes() == whole[: len(whole) - len(whole.splitlines(keepends=True)[-1])]
        )
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], lines[1].replace(b"report", b"rePort"), *lines[2:]]))
    with pytest.raises(JournalError, match="line 2 is damaged"):
        Journal(journal).events()


def test_another_search_in_the_journal_is_refused(tmp_path):
    searched(tmp_path, "random", trials=3)
    with pytest.raises(JournalError, match="0001"):
        opened(tmp_path, "grid")


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_space_with_nothing_left_ends_and_is_opened_again(tuner, tmp_path, monkeypatch):
    small = {"batch_size": (32, 96), "model": ("cnn", "mlp"), "dropout": (0.0, 0.5)}
    monkeypatch.setitem(globals(), "SPACE", {"learning_rate": (0.1, 0.2), **small})
    oracle = searched(tmp_path, tuner, workers=3, trials=100)
    assert oracle.ended
    assert len(oracle.trials) < 100
    assert told(opened(tmp_path, tuner, workers=3, trials=100)) == told(oracle)


def test_a_search_goes_on_with_another_number_of_workers(tmp_path):
    searched(tmp_path, "tpe", workers=1, trials=7)
    more = searched(tmp_path, "tpe", workers=3, trials=12)
    assert len(more.trials) == 12
    assert told(opened(tmp_path, "tpe", workers=1)) == told(more)


def test_an_event_that_cannot_be_written_ends_the_search(tmp_path, monkeypatch):
    oracle = opened(tmp_path, "random")
    oracle.create_trial("one")
    before = oracle.journal.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuning.journal.os.fsync", full)
    for _ in range(2):
        with pytest.raises(UnwrittenError, match="No space left"):
            oracle.update_trial("0000", {SCORE: 1.0}, step=1)
    monkeypatch.undo()
    assert oracle.journal.path.read_bytes() == before
    assert len(opened(tmp_path, "random").trials) == 1


def test_a_trial_whose_process_ends_again_and_again_fails(tmp_path):
    oracle = opened(tmp_path, "random", trials=2)
    oracle.create_trial("one")
    oracle.update_trial("0000", {SCORE: 1.0}, step=1)
    for _ in range(LAUNCHES):
        assert oracle.create_trial("one").trial_id == "0000"
    assert oracle.create_trial("one").status == "STOPPED"  # it was the first
    assert "10 times" in oracle.broken


def test_questions_asked_twice_are_answered_alike(tmp_path):
    oracle = opened(tmp_path, "random", trials=3)
    trial = oracle.create_trial("one")
    assert oracle.create_trial("one").trial_id == trial.trial_id
    for _ in range(2):
        oracle.update_trial(trial.trial_id, {SCORE: 1.0}, step=1)
    trial.status = "COMPLETED"
    for _ in range(2):
        oracle.end_trial(trial)
    assert [report.step for report in oracle.reports[trial.trial_id]] == [1]
    assert oracle.end_order == [trial.trial_id]


def test_what_a_worker_left_is_taken_over(tmp_path):
    oracle = opened(tmp_path, "tpe", workers=2)
    left = oracle.create_trial("worker-1").trial_id
    again = opened(tmp_path, "tpe", workers=2)
    assert again.create_trial("worker-0").trial_id == left
    assert again.create_trial("worker-1").trial_id != left
    patient = opened(tmp_path, "tpe", workers=2, patience=60.0)
    assert patient.create_trial("worker-7").trial_id not in ("0000", "0001")
    patient.heard["worker-7"] -= 61.0
    assert patient.create_trial("worker-8").trial_id == "0002"


def test_failed_trials_have_reasons_and_the_first_ends_the_search(tmp_path):
    oracle = opened(tmp_path, "random", trials=4)
    (tmp_path / "trials" / "0001").mkdir(parents=True)
    (tmp_path / "trials" / "0001" / "failed.txt").write_text("no such thing\n")
    worker = Worker("one")
    while len(oracle.trials) < 2:
        worker.act(oracle)
    worker.trial.status = "FAILED"
    oracle.end_trial(worker.trial)
    assert oracle.trials["0001"].message == "no such thing"
    assert not oracle.broken
    assert report.table(oracle)[-1]["reason"] == "no such thing"


def test_no_trial_begins_after_the_minutes(tmp_path):
    oracle = searched(tmp_path, "random", seconds=0.0)
    assert not oracle.trials


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_every_app_can_be_drawn_from_its_space(app):
    first = space.default(app(), app.space)
    assert first is not None, f"{app.__name__}.space does not hold the app's own values"
    drawn = space.hyperparameters(app(), app.space)
    assert drawn.values == first
    for seed in range(20):
        values = {one.name: one.random_sample(seed) for one in drawn.space}
        assert isinstance(space.drawn(app(), values), app)


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_a_space_that_cannot_be_is_answered(text, said, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises((FieldError, UnknownOptimizerError), match=said):
        space.check(Mnist(), space.read(path))


def test_a_field_decides_whether_its_numbers_are_whole(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("l2: {low: 0, high: 1}\nbatch_size: {low: 16, high: 64}\n")
    drawn = space.hyperparameters(Mnist(), space.read(path)).space
    assert [type(one.random_sample(0)) for one in drawn] == [float, int]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", {"val_loss": "min"}),
        ("accuracy", {"val_accuracy": "max"}),
        ("accuracy,latency,size", {"val_accuracy": "max", "latency": "min", "size": "min"}),
    ],
)
def test_objectives(asked, found):
    assert objectives.directions(Mnist(), asked) == found


@pytest.mark.parametrize(
    "asked", ["acuracy", "size", "accuracy,speed", "latency,accuracy", "accuracy,loss"]
)
def test_objectives_that_are_none_are_answered(asked):
    with pytest.raises(FieldError, match="--objective"):
        objectives.directions(Mnist(), asked)


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"workers": 0}, {"keep": 0}, {"minutes": -1}])
def test_numbers_that_cannot_be_are_answered(wrong):
    with pytest.raises(FieldError, match=f"--{next(iter(wrong))}"):
        search.Asked(**wrong)


def test_pareto_names_three():
    scores = {
        "0": {"score": 0.99, "latency": 9.0, "size": 9.0},
        "1": {"score": 0.98, "latency": 2.0, "size": 2.0},
        "2": {"score": 0.90, "latency": 1.0, "size": 1.0},
        "3": {"score": 0.89, "latency": 2.0, "size": 2.0},
    }
    ways = {"score": "max", "latency": "min", "size": "min"}
    assert objectives.pareto(scores, ways) == (["0", "1", "2"], "0", "1", "2")


def test_several_objectives_are_searched_together(tmp_path):
    ways = {"val_loss": "min", "size": "min"}
    oracle = opened(tmp_path, "tpe", trials=8, ways=ways)
    while (trial := oracle.create_trial("one")).status == "RUNNING":
        values = trial.hyperparameters.values
        scores = {SCORE: loss(values, 4), "size": float(values["batch_size"])}
        oracle.update_trial(trial.trial_id, scores, step=1)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.finished()) == 8


def test_pictures_and_what_mattered(tmp_path):
    oracle = searched(tmp_path, "random", trials=16)
    assert set(pictures.draw(oracle, tmp_path, "val_loss")) == {
        "scores.png",
        "parallel.png",
        "importance.png",
    }
    assert next(iter(pictures.importance(oracle))) == "learning_rate"


TINY = dataclasses.replace(Mnist.tiny(), model="softmax", epochs=2)


def tuned(directory, app=TINY, **options):
    options = {"trials": 3, "precision": "float32", **options}
    return search.search(app, search.Asked(run_dir=directory, **options), loud=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A finished search of three trials."""
    path = tmp_path_factory.mktemp("search") / "space.yaml"
    # The last batch size is more than there are examples.
    path.write_text("batch_size: [16, 32, 64, 100000]\n")
    return tuned(path.parent / "search", tuner="grid", space=path, trials=4, keep=1)


def test_a_search_ends_in_an_ordinary_run(found):
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
    assert told(again.oracle) == told(found.oracle)


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


def test_a_directory_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        tuned(tmp_path)


class Stopped(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        if epoch:
            raise self.error


def test_an_interrupted_trial_goes_on_and_a_diverged_one_stays_failed(tmp_path):
    task = trial.Task(TINY, tmp_path, {"val_loss": "min"}, "", {"data_dir": None})
    tuner = trial.FieldsTuner(opened(tmp_path, "random"), task, loud=False)
    for error, path in ((KeyboardInterrupt(), "one"), (FloatingPointError("loss"), "two")):
        with pytest.raises((KeyboardInterrupt, DivergedError)):
            train(TINY, run_dir=tmp_path / path, verbose=0, watchers=[Stopped(error)])
    assert tuner._finished(tmp_path / "one") is None
    assert (tmp_path / "one" / CHECKPOINT).exists()
    assert train(TINY, run_dir=tmp_path / "one", verbose=0).passport["stopped"] is None
    with pytest.raises(DivergedError):
        tuner._finished(tmp_path / "two")


def test_a_full_disk_fails_no_trial(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as during:
        during.setattr("tuning.trial.train", full)
        with pytest.raises(OSError, match="No space left"):
            tuned(tmp_path / "search")
    again = tuned(tmp_path / "search")
    assert {one.status for one in again.oracle.trials.values()} == {"COMPLETED"}


def test_a_trial_that_another_worker_took_over_is_let_go(tmp_path):
    oracle = opened(tmp_path, "random")
    task = trial.Task(TINY, tmp_path, {"val_loss": "min"}, "", {"data_dir": None})
    tuner = trial.FieldsTuner(oracle, task, loud=False)
    one = oracle.create_trial("tuner0")
    task.path("0000").mkdir(parents=True)
    task.holder("0000").write_text("another")
    one.status = "FAILED"
    tuner.on_trial_end(one)
    assert oracle.trials["0000"].status == "RUNNING"
    task.holder("0000").write_text("tuner0")
    tuner.on_trial_end(one)
    assert oracle.trials["0000"].status == "FAILED"


def test_nothing_is_begun_where_it_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        tuned(tmp_path / "file")
    with pytest.raises(StrategyError, match="for one device"):
        tuned(tmp_path / "search", strategy="mirrored", devices=1)
    assert not (tmp_path / "search").exists()


def test_variables_of_kerastuner_come_together(monkeypatch):
    assert chief.role() == ""
    monkeypatch.setenv(chief.HOST, "127.0.0.1")
    monkeypatch.setenv(chief.IDENTITY, "chief")
    with pytest.raises(chief.WorkerError, match=f"without {chief.PORT}"):
        chief.role()
    monkeypatch.setenv(chief.PORT, "8000")
    assert chief.role() == "chief"


def test_what_somebody_added_to_the_best_stays(found, tmp_path):
    trials = [tmp_path / name for name in ("one", "two", "three")]
    for path in trials:
        shutil.copytree(found.directory / "best", path)
        (path / "run.json").write_text(json.dumps({"name": path.name}))
    target = tmp_path / "best"
    keeping.copied(trials[0], target)
    keeping.copied(trials[1], target)
    assert not (tmp_path / "best-1").exists()
    (target / "export").mkdir()
    keeping.copied(trials[2], target)
    assert (tmp_path / "best-1" / "export").is_dir()
    assert json.loads((target / "run.json").read_text()) == {"name": "three"}


def test_a_first_trial_that_fails_stops_the_search(tmp_path):
    app = dataclasses.replace(TINY, batch_size=100_000)
    path = tmp_path / "space.yaml"
    path.write_text("batch_size: [100000, 32]\n")
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
    found = {row["trial"]: row[SCORE] for row in rows}
    assert found == {one["trial"]: str(one[SCORE]) for one in told(alone.oracle)}
