"""The ledger counts the runs evaluated on a test set, and a note tells the user."""

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


def fake_run(path, text):
    """Make the parts of a run that the ledger reads."""
    path.mkdir()
    (path / MANIFEST).write_text(text)
    return SimpleNamespace(path=path)


def test_runs_are_counted_once_each(tmp_path):
    runs = [fake_run(tmp_path / f"{k}", f'{{"seed": {k}}}') for k in range(3)]
    assert [test_set_ledger.record(TEST_SET, run) for run in runs] == [0, 1, 2]
    assert [test_set_ledger.record(TEST_SET, run) for run in runs] == [2, 2, 2]
    assert test_set_ledger.record("1" * 32, runs[0]) == 0
    copy = SimpleNamespace(path=shutil.copytree(runs[0].path, tmp_path / "copy"))
    assert test_set_ledger.record(TEST_SET, copy) == 2


def test_concurrent_evaluations_are_all_counted(tmp_path):
    runs = [fake_run(tmp_path / f"{k}", f"{k}") for k in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: test_set_ledger.record(TEST_SET, run), runs * 2))
    assert test_set_ledger.record(TEST_SET, runs[0]) == 39


def test_an_incomplete_line_does_not_affect_others(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, second = (fake_run(tmp_path / name, name) for name in "ab")
    test_set_ledger.record(TEST_SET, first)
    path = tmp_path / "athanor" / test_set_ledger.FOLDER / TEST_SET
    with path.open("a") as file:
        file.write("0123abc")
    assert test_set_ledger.record(TEST_SET, second) == 1
    assert test_set_ledger.record(TEST_SET, first) == 1


def test_an_unwritable_ledger_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert test_set_ledger.record(TEST_SET, fake_run(tmp_path / "run", "")) is None


@pytest.mark.parametrize(
    ("count", "mean"), [(1, 0), (2, 0.56419), (3, 0.84628), (10, 1.53875), (100, 2.50759)]
)
def test_the_expected_maximum_equals_published_tables(count, mean):
    """David and Nagaraja; also Harter, 1961."""
    assert test_set_ledger.expected_maximum(count) == pytest.approx(mean, abs=1e-4)


def test_the_bias_of_the_best_of_equal_runs_equals_a_simulation():
    """Fifteen runs with accuracy 0.9, each on 500 independent examples."""
    accuracies = np.random.default_rng(0).binomial(500, 0.9, (4000, 15)) / 500
    deviation = np.sqrt(0.9 * 0.1 / 500)
    bias = test_set_ledger.selection_bias(14, (0.9 - Z * deviation, 0.9 + Z * deviation))
    assert bias.bias == pytest.approx(np.mean(accuracies.max(1)) - 0.9, rel=0.05)


def test_the_note_names_runs_and_bias():
    note = test_set_ledger.sentence(test_set_ledger.SelectionBias(14, 0.004), metric("accuracy"))
    assert "evaluate 14 other runs" in note
    assert "best of 15" in note
    assert "0.4 points" in note
    assert "1,200 (rmse)" in test_set_ledger.sentence(
        test_set_ledger.SelectionBias(1, 1234.5), metric("rmse")
    )
    assert test_set_ledger.sentence(test_set_ledger.SelectionBias(0, 0.0), metric("rmse")) == ""


def test_the_digest_of_a_test_set_ignores_the_order():
    features, target = np.arange(12.0).reshape(6, 2), np.arange(6)
    order = np.random.default_rng(0).permutation(6)
    one, other = Examples.of(features, target), Examples.of(features[order], target[order])
    assert fingerprints.digest_examples(one) == fingerprints.digest_examples(other)
    wrong = Examples.of(features, target[::-1])
    assert fingerprints.digest_examples(one) != fingerprints.digest_examples(wrong)


def test_scores_hold_the_count_of_other_runs(copied, run, tmp_path):
    first = report.score(copied)
    assert first["test_set"] == {"other_runs": 0, "flatters": 0.0}
    other = Run.load(shutil.copytree(run.path, tmp_path / "other"))
    bias = json.loads((other.path / MANIFEST).read_text())
    (other.path / MANIFEST).write_text(json.dumps(bias | {"epochs": 7}))
    second = report.score(Run.load(other.path))
    assert second["test_set"]["other_runs"] == 1
    assert "evaluate 1 other run;" in second["note"]
    assert second["test_set"]["flatters"] == pytest.approx(
        np.diff(second["intervals"]["accuracy"])[0] / (2 * Z) * 0.56419, rel=1e-3
    )
    assert report.score(Run.load(other.path))["test_set"]["other_runs"] == 1
    stored = json.loads((other.path / "scores.json").read_text())
    assert stored["test_set"]["other_runs"] == 1


@pytest.mark.thorough
def test_a_replay_is_not_counted(copied, tmp_path):
    report.score(copied)
    result = replay.replay(copied, tmp_path / "again", verbose=0)
    assert result.verdict == "bit-equal"
    assert json.loads((tmp_path / "again" / "scores.json").read_text())["test_set"] is None
    assert report.score(copied)["test_set"]["other_runs"] == 0


def test_the_directory_is_private_to_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    test_set_ledger.record(TEST_SET, fake_run(tmp_path / "run", ""))
    assert (tmp_path / "athanor" / test_set_ledger.FOLDER).stat().st_mode & 0o777 == 0o700
