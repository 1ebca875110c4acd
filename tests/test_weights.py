"""Example weights: `--weight COL`."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pytest

from apps import Regression
from apps.regression import boosting
from apps.regression.boosting import BoostingOptions, Table
from apps.regression.logistic import fit_logistic
from apps.regression.solvers import mean_and_deviation
from apps.ridge import ridge
from evaluation import history
from evaluation.console_tables import score_table
from evaluation.report import evaluate, score
from evaluation.tasks import classification, regression, task_of
from exporting.export import export
from pipelines.batches import sharded_batches
from pipelines.examples import AddressError, DataError
from training.train import train

RANDOM = np.random.default_rng(0)
TINY = {"epochs": 2, "width": 8}


def write(path, columns):
    """Write columns of equal length as a CSV file; return its path."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def made(count=300, seed=0):
    """Columns of numbers, a category, weights from 1 to 3, and targets of both kinds."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(2, count)).round(3)
    colour = random.choice(["red", "green", "blue"], count)
    y = (x[0] + (colour == "red") + random.normal(0, 0.3, count)).round(3)
    weights = random.integers(1, 4, count)
    return {
        "a": x[0],
        "b": x[1],
        "colour": colour,
        "w": weights,
        "y": y,
        "c": np.where(y > 0, "p", "n"),
    }


def repeated(rows, weights):
    return np.repeat(rows, weights, axis=0)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("l2", [0.1, None])
def test_ridge_counts_a_row_as_often_as_its_weight(wide, l2):
    x, y, weights = RANDOM.normal(size=(40, 6)), RANDOM.normal(size=40), RANDOM.integers(1, 4, 40)
    parts = (slice(0, 13), slice(13, 40))
    weighted = ridge([(x[part], y[part], weights[part]) for part in parts], l2, wide=wide)
    twice = ridge([(repeated(x, weights), repeated(y, weights), None)], l2, wide=wide)
    for one, other in zip(weighted, twice, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_trees_count_a_row_as_often_as_its_weight(num_classes):
    x = RANDOM.normal(size=(200, 4)).round(1).astype("float32")
    target = x[:, 0] * x[:, 1] + RANDOM.normal(0, 0.1, 200)
    if num_classes:
        target = np.digitize(target, np.linspace(-0.5, 0.5, num_classes - 1))
    weights = RANDOM.integers(1, 4, 200).astype("float64")
    # Limits of the examples in a leaf count rows; a node of one row draws no columns at random.
    options = BoostingOptions(20, 0.1, 8, min_leaf_examples=1, max_features=1.0)
    counts = weights.astype(int)
    alone = Table(x, target, num_classes, weights=weights)
    twice = Table(repeated(x, counts), repeated(target, counts), num_classes)
    trees, others = (boosting.fit_boosted(table, options) for table in (alone, twice))
    np.testing.assert_array_equal(trees.columns, others.columns)
    np.testing.assert_allclose(trees.values, others.values, atol=1e-4)
    np.testing.assert_allclose(trees.bias, others.bias, atol=1e-5)
    losses = [boosting.fit_held_out(table, table, options)[1] for table in (alone, twice)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_logistic_regression_counts_a_row_as_often_as_its_weight():
    x, weights = RANDOM.normal(size=(80, 3)), RANDOM.integers(1, 4, 80)
    classes = (x[:, 0] + RANDOM.normal(size=80) > 0).astype(int)
    found = fit_logistic(x, classes, 2, weights)
    twice = fit_logistic(repeated(x, weights), repeated(classes, weights), 2)
    np.testing.assert_allclose(found[0], twice[0], atol=1e-3)


def test_metrics_of_numbers_count_a_row_as_often_as_its_weight():
    target, weights = RANDOM.normal(size=50) + 9, RANDOM.integers(1, 5, 50)
    predicted = target + RANDOM.normal(size=50)
    found = regression.metrics(regression.Predictions(predicted, target, weights))
    twice = regression.Predictions(repeated(predicted, weights), repeated(target, weights))
    assert found == pytest.approx(regression.metrics(twice))


def test_metrics_of_classes_count_a_row_as_often_as_its_weight():
    probabilities = RANDOM.dirichlet([1, 1, 1], 60)
    target, weights = RANDOM.integers(0, 3, 60), RANDOM.integers(1, 5, 60)
    weighted = classification.Predictions(probabilities, target, weights)
    twice = classification.Predictions(repeated(probabilities, weights), repeated(target, weights))
    assert classification.metrics(weighted) == pytest.approx(classification.metrics(twice))
    labels = ("a", "b", "c")
    for row, other in zip(
        *(classification.per_class(p, labels) for p in (weighted, twice)), strict=True
    ):
        assert row["f1"] == pytest.approx(other["f1"])
        assert row["recall"] == pytest.approx(other["recall"])
    assert sum(row["examples"] for row in classification.per_class(weighted, labels)) == 60


@pytest.mark.parametrize("task", [regression, classification], ids=lambda task: task.NAME)
def test_intervals_follow_the_weights(task):
    """Rows of a tiny weight change nothing; the interval is that of the others."""
    count = 400
    heavy = np.arange(count) < 100
    weights = np.where(heavy, 1.0, 1e-9)
    if task is regression:
        target = RANDOM.normal(size=count)
        values = target + np.where(heavy, RANDOM.normal(size=count), 50)
    else:
        target = RANDOM.integers(0, 2, count)
        right = np.where(heavy, RANDOM.random(count) < 0.8, False)
        values = np.where((right == target)[:, None], [0.3, 0.7], [0.7, 0.3])
    found = task.intervals(task.Predictions(values, target, weights))
    alone = task.intervals(task.Predictions(values[heavy], target[heavy]))
    for name, (low, high) in alone.items():
        assert found[name][1] - found[name][0] == pytest.approx(high - low, rel=0.35), name
        assert found[name][0] < (low + high) / 2 < found[name][1], name


def test_a_row_of_weight_zero_is_absent(tmp_path):
    columns = made()
    columns["w"] = columns["w"] % 3  # 0, 1 or 2
    kept = columns["w"] > 0
    path = write(tmp_path / "all.csv", columns)
    less = write(tmp_path / "kept.csv", {name: column[kept] for name, column in columns.items()})
    # Another order of the rows would change the last digits.
    runs = [
        train(
            Regression(data=data, target="y", weight="w", drop="c", model="linear"),
            run_dir=tmp_path / name,
            verbose=0,
        )
        for name, data in (("one", path), ("other", less))
    ]
    first, second = (score(run) for run in runs)
    assert first["test"] == second["test"]
    assert first["baselines"] == second["baselines"]
    assert any("of weight 0 left out" in note for note in runs[0].splits.notes)
    assert not any("without it" in note for note in runs[0].splits.notes)
    for one, other in zip(runs[0].model.get_weights(), runs[1].model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


QUICK = [("blend", "y"), ("linear", "y"), ("svm", "c")]
MODELS = [(m, t) for m in ("blend", "mlp", "boosted", "linear", "svm") for t in ("y", "c")]


@pytest.mark.parametrize(
    ("model", "target"),
    [pytest.param(*p, marks=[] if p in QUICK else pytest.mark.thorough) for p in MODELS],
)
def test_every_model_follows_the_heavy_rows(model, target, tmp_path):
    """Rows of equal features have contrary targets; nine tenths of the weight have one of them."""
    count = 400
    x = RANDOM.normal(size=count).round(2)
    is_heavy = np.arange(count) % 2 == 0
    y = np.where(is_heavy, 1.0, -1.0) + RANDOM.normal(0, 0.01, count).round(4)
    columns = {"x": x, "w": np.where(is_heavy, 9, 1), "y": y, "c": np.where(is_heavy, "p", "n")}
    other = "c" if target == "y" else "y"
    app = Regression(
        data=write(tmp_path / "t.csv", columns), target=target, weight="w", drop=other, model=model,
        epochs=15, width=8,
    )  # fmt: skip
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    output = np.asarray(run.model(run.splits.test.numpy().features)).mean(0)
    if target == "y" and model == "svm":  # the median of the weights
        assert output == pytest.approx(1, abs=0.15)
    elif target == "y":
        assert output == pytest.approx(0.8, abs=0.15)
    elif model in ("svm", "linear"):  # they are still on their way from equal probabilities
        assert output[1] > 0.6
    else:
        assert output[1] == pytest.approx(0.9, abs=0.06)


def test_scores_and_validation_losses_are_weighted(tmp_path):
    app = Regression(
        data=write(tmp_path / "t.csv", made()),
        target="y",
        weight="w",
        drop="c",
        model="mlp",
        **TINY,
    )
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    scores, splits = evaluate(run), run.splits
    assert "w" not in run.manifest["reading"]["forms"]
    assert len(np.unique(splits.test.weights)) == 3

    def errors(part):
        return np.asarray(run.model(part.numpy().features)) - part.targets

    expected = np.sqrt(np.average(errors(splits.test) ** 2, weights=splits.test.weights))
    assert scores["test"]["rmse"] == pytest.approx(expected, rel=1e-5)
    assert scores["weight"] == "w"
    assert "weighted by w" in score_table(scores)[2]
    losses = history.read(run.path / "history.csv")["val_loss"]
    scale = mean_and_deviation(splits.train)[1]
    loss = np.average((errors(splits.valid) / scale) ** 2, weights=splits.valid.weights)
    assert losses[run.manifest["best_epoch"] - 1] == pytest.approx(loss, rel=1e-4)
    exported = export(run)
    assert exported["parity"]["max_abs_diff"] < 1e-4


def test_weights_of_batches_have_mean_one(tmp_path):
    splits = Regression(
        data=write(tmp_path / "t.csv", made()), target="y", weight="w"
    ).load_splits()
    batches = [*sharded_batches(splits.train, batch_size=64).as_numpy_iterator()]
    weights = np.concatenate([batch.weight for batch in batches])
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(weights, splits.train.relative_weights, rtol=1e-6)


@pytest.mark.parametrize(
    "model",
    ["mlp", *(pytest.param(one, marks=pytest.mark.thorough) for one in ("boosted", "blend"))],
)
def test_weights_count_relative_to_each_other(model, tmp_path):
    """The unit of the weights is of no effect."""
    columns = made(120)
    found = []
    for factor in (1, 1024):
        path = write(tmp_path / f"{factor}.csv", columns | {"w": columns["w"] * factor})
        app = Regression(
            data=path, target="y", weight="w", drop="c", group="b", model=model, **TINY
        )
        run = train(app, run_dir=tmp_path / f"run{factor}", verbose=0)
        task = task_of(run)
        found.append(task.metrics(task.predict_test_set(run)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("cell", "where"),
    [("-1", "line 4"), ("heavy", "line 4"), ("", "line 4"), ("nan", "line 4"), ("inf", "line 4")],
)
def test_a_cell_that_is_no_weight_is_refused(cell, where, tmp_path):
    columns = made(40)
    weights = columns["w"].astype(object)
    weights[2] = cell
    path = write(tmp_path / "t.csv", columns | {"w": weights})
    with pytest.raises(DataError, match=f"--weight w.*'{cell}'.*t.csv {where}") as caught:
        Regression(data=path, target="y", weight="w").load_splits()
    assert caught.value.exit_status == 2


def test_texts_are_no_weights(tmp_path):
    path = write(tmp_path / "t.csv", made(40))
    with pytest.raises(DataError, match=r"--weight colour, .* in t.csv line 2"):
        Regression(data=path, target="y", weight="colour").load_splits()


def test_the_target_is_no_weight(tmp_path):
    path = write(tmp_path / "t.csv", made(40))
    with pytest.raises(DataError, match="--weight y, the target"):
        Regression(data=path, target="y", weight="y").load_splits()


@pytest.mark.parametrize("split", ["training", "test"])
def test_weights_that_are_all_zero_are_refused(split, tmp_path):
    columns = made(60)
    zero = write(tmp_path / "zero.csv", columns | {"w": 0 * columns["w"]})
    some = write(tmp_path / "some.csv", columns)
    data, test = (zero, some) if split == "training" else (some, zero)
    with pytest.raises(DataError, match=f"--weight w.*all 60 {split} weights are 0"):
        Regression(data=data, test=test, target="y", weight="w").load_splits()


def test_test_data_need_the_weights_too(tmp_path):
    columns = made(60)
    data = write(tmp_path / "t.csv", columns)
    test = write(
        tmp_path / "u.csv", {name: columns[name] for name in ("a", "b", "colour", "y", "c")}
    )
    with pytest.raises(AddressError, match="--weight 'w' and test data with the columns a, b"):
        Regression(data=data, test=test, target="y", weight="w").load_splits()


def test_an_unknown_column_of_weights_is_refused_before_reading(tmp_path):
    path = write(tmp_path / "t.csv", made(40))
    with pytest.raises(AddressError, match="--weight 'v'; expected one of the columns") as caught:
        Regression(data=path, target="y", weight="v").require_data()
    assert caught.value.exit_status == 2


def test_another_weight_is_another_data_set(tmp_path):
    columns = made(100)
    prints = set()
    for name, weights in (("one", columns["w"]), ("other", columns["w"] + 1)):
        path = write(tmp_path / f"{name}.csv", columns | {"w": weights})
        prints.add(Regression(data=path, target="y", weight="w").load_splits().fingerprint())
    assert len(prints) == 2


class StopInSecondEpoch(keras.callbacks.Callback):
    """Interrupts training after some steps of the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        if self.epoch == 1 and batch >= 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_training_with_weights_continues_exactly(tmp_path):
    path = write(tmp_path / "t.csv", made(600))
    app = Regression(
        data=path, target="y", weight="w", drop="c", model="mlp", epochs=3, width=8, batch_size=20
    )
    whole = train(app, run_dir=tmp_path / "whole", verbose=0)
    stop = [StopInSecondEpoch()]
    with pytest.raises(KeyboardInterrupt):
        train(app, run_dir=tmp_path / "part", verbose=0, checkpoint_every=0.0, callbacks=stop)
    part = train(app, run_dir=tmp_path / "part", verbose=0)
    assert part.manifest["epochs"] == 3
    for one, other in zip(whole.model.get_weights(), part.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


SEVERAL_DEVICES = """
import sys
from training import startup
startup.start_tensorflow(2)
from apps import Regression
from training.distributed.equivalence import compare_devices
for fields in ({"target": "y", "drop": "c"}, {"target": "c", "drop": "y", "balance": True}):
    app = Regression(data=sys.argv[1], weight="w", model="mlp", width=8, **fields)
    found = compare_devices(app)
    assert found.difference <= 1e-5, found
    assert found.moved > 1e-4, found
"""


@pytest.mark.slow
def test_two_devices_weigh_as_one(tmp_path):
    path = write(tmp_path / "t.csv", made(600))
    command = [sys.executable, "-c", SEVERAL_DEVICES, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
