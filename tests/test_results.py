"""The output of each command: one JSON object with --json, otherwise plain lines."""

import json
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

import apps

TINY = ["--model", "softmax", "--epochs", "1", "--precision", "float32"]


@pytest.mark.thorough
def test_json_of_a_whole_process_is_one_object_on_standard_output(run, write_image, elsewhere):
    """Standard output holds nothing that TensorFlow prints, from C++ too."""
    arguments = [run.path, write_image(elsewhere / "a.png")]
    done = subprocess.run(
        [sys.executable, "-m", "athanor", "mnist", "predict", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert set(json.loads(done.stdout)) == {"predictions", "notes"}
    assert "probability" in done.stderr


def json_of(result):
    status, output, error = result
    assert status == 0, error
    (line,) = output.splitlines()
    return json.loads(line)


def assert_score_summary(result):
    assert set(result) == {
        *("run", "test", "baselines", "remarks", "test_set"),
        *("seconds", "examples_per_second", "comparisons", "discrimination", "verdict", "findings"),
    }
    assert set(result["comparisons"]) == set(result["baselines"])
    assert result["verdict"]["outcome"] in ("better", "not better", "undecided")
    assert set(result["test"]) == {"accuracy", "loss", "macro_f1"}
    assert {*result["seconds"]["baselines"]} == {*result["baselines"]}
    assert set(result["baselines"]) == {"majority", "softmax_regression"}
    assert all(set(row) == {"accuracy", "loss", "macro_f1"} for row in result["baselines"].values())
    assert set(result["seconds"]) == {"train", "baselines", "total"}
    assert result["examples_per_second"] > 0


def test_json_of_train(run_cli, elsewhere):
    result = json_of(run_cli("mnist", "train", *TINY, "--json"))
    assert_score_summary(result)
    latest = elsewhere / "runs" / "mnist" / "latest"
    assert latest.resolve() == latest.parent / result["run"].rpartition("/")[2]


def test_json_of_evaluate(run_cli, copied):
    result = json_of(run_cli("mnist", "evaluate", copied.path, "--json"))
    assert_score_summary(result)
    assert result["run"] == str(copied.path)
    stored = json.loads((copied.path / "scores.json").read_text())
    assert (result["test"], result["baselines"]) == (stored["test"], stored["baselines"])


def test_json_of_predict(run_cli, run, write_image, elsewhere):
    paths = [write_image(elsewhere / name) for name in ("a.png", "b.png")]
    result = json_of(run_cli("mnist", "predict", run.path, *paths, "--json"))
    assert set(result) == {"predictions", "notes"}
    assert [row["input"] for row in result["predictions"]] == [str(path) for path in paths]
    for row in result["predictions"]:
        assert set(row) == {"input", "class", "probability", "next", "classes"}
        assert [set(guess) for guess in row["next"]] == [{"class", "probability"}] * 2


@pytest.mark.slow
def test_json_of_export(run_cli, exported, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(exported(apps.Mnist).path, run)
    result = json_of(run_cli("mnist", "export", run, "--json"))
    others = {"formats", "quantized", "request", "curl", "notes"}
    assert set(result) == {"export", "parity"} | others
    assert (result["formats"], result["quantized"], result["notes"]) == ({}, None, [])
    assert result["curl"] == (
        f"curl -d @{result['request']} http://127.0.0.1:8501/v1/models/mnist:predict"
    )
    assert result["export"] == str(run / "export" / "2")
    assert sorted(path.name for path in (run / "export").iterdir()) == ["1", "2"]
    assert result["parity"]["passed"] is True
    assert result["parity"]["max_abs_diff"] <= result["parity"]["tolerance"]


@pytest.mark.slow
def test_without_json_the_output_is_plain_lines(run_cli, copied):
    status, out, _ = run_cli("mnist", "evaluate", copied.path)
    assert status == 0
    for part in ("this model", "majority", "softmax regression", "precision", "confusion.png"):
        assert part in out
    assert "\x1b" not in out


def test_list_shows_every_app_and_its_tasks(run_cli):
    status, out, _ = run_cli("list")
    assert status == 0
    rows = json_of(run_cli("list", "--json"))["apps"]
    for app in apps.ALL:
        assert app.name() in out
        assert [row for row in rows if row["app"] == app.name() and row["question"] == app.modality]
    assert {row["app"]: row["answer"] for row in rows} == {
        "regression": "number or classes",
        "mnist": "classes",
        "finetune": "classes",
        "text": "classes or multilabel",
        "recommender": "ranking",
    }


def test_doctor_reports_versions_devices_and_data(run_cli, elsewhere):
    status, out, _ = run_cli("doctor", "--data-dir", elsewhere / "none")
    assert status == 0
    for part in (tf.__version__, "CPU", "precision for images", "does not exist"):
        assert part in out
    assert json_of(run_cli("doctor", "--json"))["findings"]["tensorflow"] == tf.__version__


def test_compare_shows_runs_side_by_side(run_cli, copied):
    run_cli("mnist", "evaluate", copied.path)
    status, out, err = run_cli("compare", copied.path, copied.path)
    assert status == 0, err
    assert out.count("copied") == 2
    rows = json_of(run_cli("compare", copied.path, "--json"))["runs"]
    assert rows[0]["run"] == "copied"
    stored = json.loads((copied.path / "scores.json").read_text())
    assert rows[0]["accuracy"] == stored["test"]["accuracy"]


@pytest.mark.slow
def test_folds_give_mean_and_spread(run_cli, elsewhere):
    words = ["mnist", "train", "--model", "softmax", "--epochs", "1", "--folds", "2"]
    result = json_of(run_cli(*words, "--run-dir", elsewhere / "folds", "--json"))
    assert set(result) == {
        *("run", "folds", "test", "spread", "baselines", "examples"),
        *("units", "test_set", "note"),
    }
    assert (result["folds"], result["examples"]) == (2, 1797)
    tests = [
        json.loads((elsewhere / "folds" / f"fold-{k}" / "scores.json").read_text())["test"]
        for k in (1, 2)
    ]
    for name, mean in result["test"].items():
        first, second = (row[name] for row in tests)
        assert mean == pytest.approx((first + second) / 2)
        assert result["spread"][name] == pytest.approx(abs(first - second) / 2**0.5)
    # A fold is an ordinary run: evaluation reads its data again, with the same splits.
    again = json_of(run_cli("mnist", "evaluate", elsewhere / "folds" / "fold-2", "--json"))
    assert again["test"] == tests[1]


def test_one_fold_is_refused(run_cli):
    status, _, err = run_cli("mnist", "train", "--folds", "1")
    assert status == 2
    assert "--folds 1" in err
