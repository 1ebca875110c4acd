"""A test set wears out: how many runs it judged is counted, once each, and told."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from apps.metrics import metric
from evaluation import replay, report, test_set_ledger
from evaluation.intervals import Z
from pipelines import fingerprints
from pipelines.examples import Examples
from training.run import MANIFEST, Run

TEST_SET = "0" * 32


def made(path, text):
    """A run of which the ledger reads the manifest alone."""
    path.mkdir()
    (path / MANIFEST).write_text(text)
    return SimpleNamespace(path=path)


def test_runs_are_counted_once_each(tmp_path):
    runs = [made(tmp_path / f"{k}", f'{{"seed": {k}}}') for k in range(3)]
    assert [test_set_ledger.record(TEST_SET, run) for run in runs] == [0, 1, 2]
    assert [test_set_ledger.record(TEST_SET, run) for run in runs] == [2, 2, 2]
    assert test_set_ledger.record("1" * 32, runs[0]) == 0
    copy = SimpleNamespace(path=shutil.copytree(runs[0].path, tmp_path / "copy"))
    assert test_set_ledger.record(TEST_SET, copy) == 2


def test_runs_that_are_judged_at_once_are_all_counted(tmp_path):
    runs = [made(tmp_path / f"{k}", f"{k}") for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: test_set_ledger.record(TEST_SET, run), runs * 2))
    assert test_set_ledger.record(TEST_SET, runs[0]) == 39


def test_a_line_that_was_cut_off_costs_nothing_but_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, second = (made(tmp_path / name, name) for name in "ab")
    test_set_ledger.record(TEST_SET, first)
    path = tmp_path / "athanor" / test_set_ledger.FOLDER / TEST_SET
    with path.open("a") as file:
        file.write("0123abc")
    assert test_set_ledger.record(TEST_SET, second) == 1
    assert test_set_ledger.record(TEST_SET, first) == 1


def test_a_place_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert test_set_ledger.record(TEST_SET, made(tmp_path / "run", "")) is None


@pytest.mark.parametrize(
    ("count", "mean"), [(1, 0), (2, 0.56419), (3, 0.84628), (10, 1.53875), (100, 2.50759)]
)
def test_the_expected_maximum_is_that_of_the_tables(count, mean):
    """David and Nagaraja; also Harter, 1961."""
    assert test_set_ledger.expected_maximum(count) == pytest.approx(mean, abs=1e-4)


def test_the_best_of_equal_runs_looks_as_much_better_as_is_told():
    """Fifteen runs that are right in 90 of 100, on 500 examples each of their own."""
    accuracies = np.random.default_rng(0).binomial(500, 0.9, (4000, 15)) / 500
    deviation = np.sqrt(0.9 * 0.1 / 500)
    told = test_set_ledger.selection_bias(14, (0.9 - Z * deviation, 0.9 + Z * deviation))
    assert told.bias == pytest.approx(np.mean(accuracies.max(1)) - 0.9, rel=0.05)


def test_the_sentence():
    said = test_set_ledger.sentence(test_set_ledger.SelectionBias(14, 0.004), metric("accuracy"))
    assert "evaluate 14 other runs" in said
    assert "best of 15" in said
    assert "0.4 points" in said
    assert "1,200 (rmse)" in test_set_ledger.sentence(
        test_set_ledger.SelectionBias(1, 1234.5), metric("rmse")
    )
    assert test_set_ledger.sentence(test_set_ledger.SelectionBias(0, 0.0), metric("rmse")) == ""


def test_a_test_set_is_the_same_in_any_order():
    features, target = np.arange(12.0).reshape(6, 2), np.arange(6)
    order = np.random.default_rng(0).permutation(6)
    one, other = Examples.of(features, target), Examples.of(features[order], target[order])
    assert fingerprints.digest_examples(one) == fingerprints.digest_examples(other)
    wrong = Examples.of(features, target[::-1])
    assert fingerprints.digest_examples(one) != fingerprints.digest_examples(wrong)


def test_scores_carry_the_count_and_judging_again_does_not_raise_it(copied, run, tmp_path):
    first = report.score(copied)
    assert first["test_set"] == {"other_runs": 0, "flatters": 0.0}
    other = Run.load(shutil.copytree(run.path, tmp_path / "other"))
    told = json.loads((other.path / MANIFEST).read_text())
    (other.path / MANIFEST).write_text(json.dumps(told | {"epochs": 7}))
    second = report.score(Run.load(other.path))
    assert second["test_set"]["other_runs"] == 1
    assert "evaluate 1 other run;" in second["note"]
    assert second["test_set"]["flatters"] == pytest.approx(
        np.diff(second["intervals"]["accuracy"])[0] / (2 * Z) * 0.56419, rel=1e-3
    )
    assert report.score(Run.load(other.path))["test_set"]["other_runs"] == 1
    kept = json.loads((other.path / "scores.json").read_text())
    assert kept["test_set"]["other_runs"] == 1


@pytest.mark.thorough
def test_a_replay_does_not_count(copied, tmp_path):
    report.score(copied)
    found = replay.replay(copied, tmp_path / "again", verbose=0)
    assert found.verdict == "bit-equal"
    assert json.loads((tmp_path / "again" / "scores.json").read_text())["test_set"] is None
    assert report.score(copied)["test_set"]["other_runs"] == 0


def test_the_directory_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    test_set_ledger.record(TEST_SET, made(tmp_path / "run", ""))
    assert (tmp_path / "athanor" / test_set_ledger.FOLDER).stat().st_mode & 0o777 == 0o700
