"""Oracles: their proposals and their journal; a kill at any instant changes no result."""

import random

import pytest
from simulated import EPOCHS, SPACE, TUNERS, Worker, loss, make_oracle, run_search, trial_rows

import apps
from apps import Mnist
from apps.fields import Range
from tuning import report, search, search_spec
from tuning.journal import Journal, JournalError, JournalWriteError
from tuning.options import TuneOptions
from tuning.oracles import MAX_LAUNCHES, SCORE


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_that_is_killed_repeatedly_has_the_same_trials(tuner, tmp_path):
    draw = random.Random(1)
    undisturbed = run_search(tmp_path / "a", tuner)
    killed = run_search(tmp_path / "b", tuner, kill=lambda _: draw.random() < 0.4)
    assert trial_rows(killed) == trial_rows(undisturbed)
    assert len(undisturbed.trials) >= 6
    assert all(trial.status == "COMPLETED" for trial in killed.trials.values())


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["bayesian", "tpe", "random", "grid"])
def test_a_search_with_two_workers_that_are_killed_has_the_same_trials(tuner, tmp_path):
    undisturbed = run_search(tmp_path / "a", tuner, workers=2)
    draw = random.Random(0)
    killed = run_search(tmp_path / "b", tuner, workers=2, kill=lambda _: draw.random() < 0.2)
    assert trial_rows(killed) == trial_rows(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["bayesian", "tpe"])
def test_model_based_search_beats_random_search_and_prunes_poor_trials(tuner, tmp_path):
    model_based = run_search(tmp_path / tuner, tuner, trials=25)
    at_random = run_search(tmp_path / "random", "random", trials=25)
    assert model_based.finished()[0].score < at_random.finished()[0].score
    assert model_based.pruned
    assert not at_random.pruned
    assert all(len(model_based.reports[trial_id]) < EPOCHS for trial_id in model_based.pruned)
    assert count_epochs(model_based) < count_epochs(at_random)


def count_epochs(oracle):
    return sum(len(reports) for reports in oracle.reports.values())


def test_a_trial_is_pruned_after_a_quarter_of_its_last_stage():
    bounds = search.pruning_bounds(apps.Finetune(epochs=8, head_epochs=10))
    assert bounds({}) == (12, 18)
    assert bounds({"epochs": 4, "head_epochs": 2}) == (3, 6)
    assert search.pruning_bounds(Mnist(epochs=1))({}) == (1, 1)  # never


def test_the_first_trial_has_the_flags_as_given(tmp_path):
    for tuner in sorted({*TUNERS} - {"hyperband"}):
        oracle = make_oracle(tmp_path / tuner, tuner)
        values = oracle.create_trial("one").hyperparameters.values
        assert values == {"learning_rate": 0.2, "batch_size": 96, "model": "cnn"}


@pytest.mark.parametrize("tuner", ["random", "tpe", "bayesian"])
def test_different_seeds_propose_different_values(tuner):
    learning_rates = []
    for seed in (0, 1, 2**31 - 1):
        spec = search_spec.SearchSpec(
            Mnist(seed=seed), SPACE, tuner, {"val_loss": "min"}, TuneOptions()
        )
        oracle = search._oracle(spec)
        proposed = (oracle.propose(f"{number:04d}") for number in range(5))
        learning_rates += [one["values"]["learning_rate"] for one in proposed]
    assert len(set(learning_rates)) == 15


def test_integers_stay_within_their_range():
    space_of = {"width": Range(16, 64, log=True), "batch_size": Range(32, 96)}
    spec = search_spec.SearchSpec(
        apps.Regression(), space_of, "bayesian", {"val_loss": "min"}, TuneOptions()
    )
    oracle = search._oracle(spec)
    assert oracle._from_unit_cube([1 - 1e-9, 1 - 1e-9]) == {"width": 64, "batch_size": 96}
    assert oracle._from_unit_cube([0.0, 0.0]) == {"width": 16, "batch_size": 32}


def test_an_incomplete_last_line_of_the_journal_is_ignored(tmp_path):
    run_search(tmp_path, "random", trials=3)
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


def test_a_journal_of_another_search_is_refused(tmp_path):
    run_search(tmp_path, "random", trials=3)
    with pytest.raises(JournalError, match="0001"):
        make_oracle(tmp_path, "grid")


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_ends_when_its_space_is_exhausted(tuner, tmp_path, monkeypatch):
    small = {"batch_size": (32, 96), "model": ("cnn", "mlp"), "dropout": (0.0, 0.5)}
    monkeypatch.setattr("simulated.SPACE", {"learning_rate": (0.1, 0.2), **small})
    oracle = run_search(tmp_path, tuner, workers=3, trials=100)
    assert oracle.exhausted
    assert len(oracle.trials) < 100
    assert trial_rows(make_oracle(tmp_path, tuner, workers=3, trials=100)) == trial_rows(oracle)


def test_a_search_continues_with_another_number_of_workers(tmp_path):
    run_search(tmp_path, "tpe", workers=1, trials=7)
    more = run_search(tmp_path, "tpe", workers=3, trials=12)
    assert len(more.trials) == 12
    assert trial_rows(make_oracle(tmp_path, "tpe", workers=1)) == trial_rows(more)


def test_an_event_that_cannot_be_written_ends_the_search(tmp_path, monkeypatch):
    oracle = make_oracle(tmp_path, "random")
    oracle.create_trial("one")
    before = oracle.journal.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuning.journal.os.fsync", full)
    for _ in range(2):
        with pytest.raises(JournalWriteError, match="No space left"):
            oracle.update_trial("0000", {SCORE: 1.0}, step=1)
    monkeypatch.undo()
    assert oracle.journal.path.read_bytes() == before
    assert len(make_oracle(tmp_path, "random").trials) == 1


def test_a_trial_whose_process_ends_ten_times_fails(tmp_path):
    oracle = make_oracle(tmp_path, "random", trials=2)
    oracle.create_trial("one")
    oracle.update_trial("0000", {SCORE: 1.0}, step=1)
    for _ in range(MAX_LAUNCHES):
        assert oracle.create_trial("one").trial_id == "0000"
    assert oracle.create_trial("one").status == "STOPPED"  # it was the first
    assert "10 times" in oracle.first_trial_error


def test_repeated_calls_have_the_same_result(tmp_path):
    oracle = make_oracle(tmp_path, "random", trials=3)
    trial = oracle.create_trial("one")
    assert oracle.create_trial("one").trial_id == trial.trial_id
    for _ in range(2):
        oracle.update_trial(trial.trial_id, {SCORE: 1.0}, step=1)
    trial.status = "COMPLETED"
    for _ in range(2):
        oracle.end_trial(trial)
    assert [report.step for report in oracle.reports[trial.trial_id]] == [1]
    assert oracle.end_order == [trial.trial_id]


def test_the_trial_of_a_lost_worker_is_taken_over(tmp_path):
    oracle = make_oracle(tmp_path, "tpe", workers=2)
    unfinished = oracle.create_trial("worker-1").trial_id
    again = make_oracle(tmp_path, "tpe", workers=2)
    assert again.create_trial("worker-0").trial_id == unfinished
    assert again.create_trial("worker-1").trial_id != unfinished
    patient = make_oracle(tmp_path, "tpe", workers=2, worker_timeout=60.0)
    assert patient.create_trial("worker-7").trial_id not in ("0000", "0001")
    patient.last_contact["worker-7"] -= 61.0
    assert patient.create_trial("worker-8").trial_id == "0002"


def test_failed_trials_have_reasons_and_the_first_ends_the_search(tmp_path):
    oracle = make_oracle(tmp_path, "random", trials=4)
    (tmp_path / "trials" / "0001").mkdir(parents=True)
    (tmp_path / "trials" / "0001" / "failed.txt").write_text("no such thing\n")
    worker = Worker("one")
    while len(oracle.trials) < 2:
        worker.act(oracle)
    worker.trial.status = "FAILED"
    oracle.end_trial(worker.trial)
    assert oracle.trials["0001"].message == "no such thing"
    assert not oracle.first_trial_error
    assert report.table(oracle)[-1]["reason"] == "no such thing"


def test_no_trial_begins_after_the_time_limit(tmp_path):
    oracle = run_search(tmp_path, "random", seconds=0.0)
    assert not oracle.trials


def test_a_search_with_several_objectives_completes_its_trials(tmp_path):
    directions = {"val_loss": "min", "size": "min"}
    oracle = make_oracle(tmp_path, "tpe", trials=8, directions=directions)
    while (trial := oracle.create_trial("one")).status == "RUNNING":
        values = trial.hyperparameters.values
        scores = {SCORE: loss(values, 4), "size": float(values["batch_size"])}
        oracle.update_trial(trial.trial_id, scores, step=1)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(oracle.finished()) == 8
