"""A gate holds the scores of a run to conditions; a run that falls short is not exported."""

import json
import shutil

import pytest

from apps.fields import FieldError
from evaluation import gate
from exporting.export import export
from training.run import SCORES, Run, RunError

SCORED = {
    "test": {"accuracy": 0.9, "loss": 0.3},
    "intervals": {"accuracy": [0.85, 0.94], "loss": [0.2, 0.4]},
    "examples": 200,
    "per_class": [
        {"class": "a", "precision": 0.9, "recall": 0.95, "f1": 0.92, "examples": 190},
        {"class": "b", "precision": 0.5, "recall": 0.4, "f1": 0.44, "examples": 10},
        {"class": "never", "precision": 0.0, "recall": 0.0, "f1": 0.0, "examples": 0},
    ],
    "calibration": {
        "ece": 0.04,
        "ece_interval": [0.0, 0.06],
        "brier": 0.2,
        "brier_interval": [0.18, 0.22],
    },
    "verdict": {"outcome": "undecided"},
}


@pytest.fixture
def scored(run, tmp_path):
    path = shutil.copytree(run.path, tmp_path / "scored")
    (path / SCORES).write_text(json.dumps(SCORED))
    return Run.load(path)


HOLDING = ["accuracy>=0.9", "accuracy.low > 0.8", "loss<=0.3", "ece<0.05", "per_class.recall>=0.4"]
FAILING = ["accuracy>0.9", "accuracy.low>=.9", "loss<0.3", "per_class.f1>=0.5", "examples>=1000"]


@pytest.mark.parametrize("condition", HOLDING)
def test_conditions_that_hold(condition, scored):
    (found,) = gate.check(scored, condition)
    assert found.passes
    gate.require(scored, condition)


@pytest.mark.parametrize("condition", [*FAILING, gate.BETTER])
def test_conditions_that_fail(condition, scored):
    (found,) = gate.check(scored, f"{condition},")
    assert not found.passes
    with pytest.raises(gate.GateError, match="falls short of 1 of 1 conditions"):
        gate.require(scored, condition)


def test_better_than_baselines_is_the_verdict(scored):
    better = SCORED | {"verdict": {"outcome": "better"}}
    (scored.path / SCORES).write_text(json.dumps(better))
    gate.require(scored, gate.BETTER)
    (scored.path / SCORES).write_text(json.dumps({k: better[k] for k in better if k != "verdict"}))
    (found,) = gate.check(scored, gate.BETTER)
    assert found.value == "unknown: evaluate again"


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        ("acuracy>=0.9", "Did you mean 'accuracy'?"),
        ("per_class.recal>=0.9", "Did you mean 'per_class.recall'?"),
        ("better_than_baseline, accuracy>=0.5", "Did you mean 'better_than_baselines'?"),
        ("accuracy>=much", "a number"),
        ("accuracy>=nan", "a number"),
        ("accuracy=0.9, loss<1", "a number"),
        (" ", "no condition"),
        ("better_than_baseline", "Did you mean 'better_than_baselines'?"),
        ("nowhere.txt", "nowhere.txt"),
        ("latency<=5", "expected one of accuracy, loss, examples"),
    ],
)
def test_a_condition_that_cannot_be_checked_is_a_mistake(condition, part, scored):
    with pytest.raises(FieldError) as raised:
        gate.check(scored, condition)
    assert part in str(raised.value)
    assert str(raised.value).startswith("Received ")


def test_a_file_of_conditions(scored, tmp_path):
    path = tmp_path / "gate.txt"
    path.write_text("# of the team\naccuracy>=0.9\n\nloss<=1, ece<=0.05\n")
    assert [one.condition for one in gate.check(scored, str(path))] == [
        *("accuracy>=0.9", "loss<=1", "ece<=0.05")
    ]
    path.write_text("# nothing\n")
    with pytest.raises(FieldError, match="no condition"):
        gate.check(scored, path)


def test_a_run_without_scores_is_a_mistake(copied):
    with pytest.raises(RunError, match="athanor mnist evaluate"):
        gate.check(copied, "accuracy>=0.9")


def test_the_command_prints_a_table_and_its_status_is_1_if_the_run_falls_short(scored, run_cli):
    words = ("gate", scored.path, "--trust", "--require")
    status, printed, error = run_cli(*words, "accuracy>=0.9, ece<=0.01")
    assert status == 1
    assert "accuracy>=0.9  0.9000  yes" in printed
    assert "ece<=0.01" in error
    assert "accuracy>=0.9" not in error
    status, printed, _ = run_cli("mnist", *words, "accuracy>=0.9", "--json")
    assert status == 0
    (found,) = json.loads(printed)["checks"]
    assert found == {"condition": "accuracy>=0.9", "value": 0.9, "passes": True}
    status, _, error = run_cli(*words, "acuracy>=0.9")
    assert status == 2
    assert "accuracy" in error


def test_export_refuses_a_run_that_falls_short(scored, tmp_path):
    path = tmp_path / "gate.txt"
    path.write_text("accuracy>=0.95\n")
    with pytest.raises(gate.GateError, match="falls short of 1 of 1"):
        export(scored, gate=path)
    assert not (scored.path / "export").exists()
