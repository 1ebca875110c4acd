"""Several targets of one table: `--target a,b`."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest

from apps import Regression
from apps.fields import FieldError
from apps.several_targets import apps_by_target
from evaluation import several_targets
from exporting import several_targets as exports
from exporting.export import ParityError
from exporting.options import ExportOptions
from inference.artifacts import read
from inference.modalities import rows
from inference.servable import DEFAULT, Servable
from pipelines.examples import AddressError, DataError
from pipelines.splits import Fold, split_fold
from training.run import Run
from training.target_runs import TargetRuns

NAMES = ("train", "valid", "test")
TINY = ("--epochs", "2", "--width", "8", "--model", "mlp")


def write(path, count=400, seed=0, gap=0.1):
    """A table with the targets `price`, `sold` and `level`, of which some cells are missing."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(2, count)).round(3)
    colour = random.choice(["red", "green", "blue"], count)
    price = (3 * x[0] + (colour == "red") + random.normal(0, 0.2, count)).round(3).astype(object)
    sold = np.where(x[1] + random.normal(0, 0.3, count) > 0, "yes", "no").astype(object)
    level = np.digitize(x[0] + x[1], [-1, 1])
    level = np.array(["low", "middle", "high"], object)[level]
    for column in (price, sold):
        column[random.random(count) < gap] = ""
    columns = {
        "a": x[0],
        "b": x[1],
        "colour": colour,
        "person": random.integers(60, size=count),
        "day": np.datetime64("2024-01-01") + random.integers(300, size=count),
        "w": random.integers(1, 4, count),
        "price": price,
        "sold": sold,
        "level": level,
    }
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def sides(splits):
    """Return the split of each row, by its hash."""
    return {
        int(key): name
        for name in NAMES
        for key in getattr(splits, name).keys()  # noqa: SIM118
    }


@pytest.mark.parametrize("options", [{}, {"group": "person"}, {"by_time": "day"}], ids=str)
@pytest.mark.parametrize("count", [120, 1000])
def test_all_targets_have_the_same_splits(count, options, tmp_path):
    app = Regression(data=write(tmp_path / "t.csv", count), target="price,sold,level", **options)
    found = [one.load_splits() for one in apps_by_target(app).values()]
    for make in (lambda splits: splits, lambda splits: split_fold(splits, Fold(2, 3))):
        price, sold, level = (sides(make(splits)) for splits in found)
        assert len(level) > max(len(price), len(sold))  # rows without one target train others
        for other in (price, sold):
            assert {*other.values()} == {*NAMES}
            assert all(level.get(key, side) == side for key, side in other.items())


def test_other_targets_are_no_features(tmp_path):
    app = Regression(data=write(tmp_path / "t.csv"), target="price, sold,level", weight="w")
    parts = apps_by_target(app)
    assert [*parts] == ["price", "sold", "level"]
    for target, one in parts.items():
        splits = one.load_splits()
        assert {*splits.reading.forms} == {"a", "b", "colour", "person", "day"}
        assert bool(splits.labels) == (target != "price")
        assert splits.train.weights is not None


def test_balance_weighs_the_targets_of_classes(tmp_path):
    app = Regression(data=write(tmp_path / "t.csv"), target="price,sold", balance=True)
    price, sold = (one.load_splits() for one in apps_by_target(app).values())
    assert not price.balance
    assert sold.balance


def test_a_target_named_twice_is_refused(tmp_path):
    app = Regression(data=write(tmp_path / "t.csv", 50), target="price,sold,price")
    with pytest.raises(FieldError, match="names 'price' twice") as caught:
        apps_by_target(app)
    assert caught.value.exit_status == 2


def test_an_unknown_target_is_refused_before_reading(tmp_path):
    app = Regression(data=write(tmp_path / "t.csv", 50), target="price,solt")
    with pytest.raises(AddressError, match=r"--target 'solt'; .* 'sold'"):
        app.require_data()


def test_a_dropped_target_is_refused(tmp_path):
    app = Regression(data=write(tmp_path / "t.csv", 50), target="price", beside="sold", drop="sold")
    with pytest.raises(DataError, match="target 'sold' with --drop of the same"):
        app.load_splits()
    with pytest.raises(DataError, match="'price' with --beside of the same"):
        dataclasses.replace(app, beside="price", drop="").load_splits()


def test_other_verbs_take_one_target(tmp_path, run_cli):
    data = write(tmp_path / "t.csv", 100)
    for verb in (["tune", "--trials", "2"], ["check-data"]):
        status, _, error = run_cli("regression", *verb, "--data", data, "--target", "price,sold")
        assert status == 2
        assert "--target price --beside sold" in error


def predictions_of(target, outputs):
    if f"{target}_value" in outputs:
        return outputs[f"{target}_value"].tolist()
    return [name.decode() for name in outputs[f"{target}_class"]]


@pytest.mark.slow
def test_all_targets_from_training_to_the_served_export(tmp_path, run_cli):
    data, path = write(tmp_path / "t.csv", 300), tmp_path / "run"
    command = ("regression", "train", "--data", data, "--target", "price,sold")
    status, printed, error = run_cli(*command, "--drop", "w,level", "--run-dir", path, *TINY)
    assert status == 0, error
    assert printed.count("test examples; 95 % intervals") == 2
    summary = read(path / "targets.json")
    assert [*summary["targets"]] == ["price", "sold"]
    assert [*summary["targets"]["price"]["test"]][:1] == ["rmse"]
    assert [*summary["targets"]["sold"]["test"]][:1] == ["accuracy"]
    assert Run.load(path / "target-sold").manifest["labels"] == ["no", "yes"]

    status, printed, error = run_cli("evaluate", path)
    assert status == 0, error
    assert "target-sold/confusion.png" in printed

    status, printed, error = run_cli("predict", path, data, "--json")
    assert status == 0, error
    predictions = json.loads(printed)["predictions"]
    assert len(predictions) == 300
    assert predictions[0].keys() == {"input", "price", "sold"}
    status, printed, _ = run_cli("regression", "predict", path, data, data)
    assert "probability of sold" in printed.splitlines()[0]
    assert len(printed.splitlines()) == 601

    status, printed, error = run_cli("export", path)
    assert status == 0, error
    assert "parity" in printed
    version = path / "export" / "1"
    servable = Servable(version, 1)
    first = Run.load(path / "target-price")
    table = rows.read_table(data, [].append)
    raw = rows.read(table, first, [].append)
    inputs = {
        key.partition("/input/")[2]: column
        for key, column in rows.sample_inputs(raw, first).items()
    }
    outputs = servable.run(servable.signature(DEFAULT), inputs)
    for target in ("price", "sold"):
        key = "value" if target == "price" else "class"
        expected = [row[target][key] for row in predictions]
        found = predictions_of(target, outputs)
        assert found == (pytest.approx(expected, rel=1e-4) if key == "value" else expected)
    request = read(version / "sample-request.json")
    assert request["instances"][0].keys() == {"a", "b", "colour", "person", "day"}
    assert [one["name"] for one in read(version / "about.json")["targets"]] == [*summary["targets"]]
    parity = read(version / "parity.json")
    assert parity["targets"].keys() == summary["targets"].keys()
    assert {"sold_class", "sold_probabilities", "price_value"} <= {*parity["compared"]}

    status, _, error = run_cli("export", path, "--format", "onnx")
    assert status == 2
    assert "several targets; expected savedmodel" in error

    # A trained target stays as it is if the command is repeated.
    before = (path / "target-price" / "run.json").read_text()
    status, _, error = run_cli(*command, "--drop", "w,level", "--run-dir", path, *TINY)
    assert status == 0, error
    assert (path / "target-price" / "run.json").read_text() == before

    def other_function(run):
        predict = rows.named_function(run)

        def shifted(raw):
            return {
                name: output + 1e-2 if name == "value" else output
                for name, output in predict(raw).items()
            }

        return shifted

    group = TargetRuns.find(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "named_function", other_function)
        with pytest.raises(ParityError, match="outputs of price differ"):
            exports.export(group, ExportOptions())
    assert not (path / "export" / "2").exists()


@pytest.mark.slow
def test_folds_of_several_targets(tmp_path, run_cli):
    data, path = write(tmp_path / "t.csv", 120), tmp_path / "run"
    command = ("regression", "train", "--data", data, "--target", "price,level", "--folds", "2")
    status, printed, error = run_cli(*command, "--model", "linear", "--run-dir", path)
    assert status == 0, error
    assert printed.count("over 2 folds of held-out examples") == 2
    summary = read(path / "targets.json")
    assert summary["folds"] == 2
    assert summary["targets"]["price"]["test"]["rmse"] < 1
    assert (path / "target-level" / "fold-2" / "run.json").exists()


def test_nothing_is_written_if_a_target_cannot_be_learnt(tmp_path, run_cli):
    data, path = write(tmp_path / "t.csv", 60, gap=0.99), tmp_path / "run"
    command = ("regression", "train", "--data", data, "--target", "level,price")
    status, _, error = run_cli(*command, "--run-dir", path)
    assert status == 2, error
    assert not path.exists()


def test_standard_input_is_read_once_for_all_targets(monkeypatch):
    contents = []

    def predicted(run, inputs, note):  # noqa: ARG001
        contents.append(Path(inputs[0].removeprefix("csv:")).read_text())
        return [{"input": "row", "value": 1.0}]

    monkeypatch.setattr(several_targets, "predict_inputs", predicted)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a,b\n1,2\n"))))
    group = TargetRuns(Path("runs"), {"price": None, "sold": None})
    rows_of_both = several_targets.predict(group, ["-"], print)
    assert contents == ["a,b\n1,2\n"] * 2
    assert rows_of_both == [{"input": "row", "price": {"value": 1.0}, "sold": {"value": 1.0}}]
