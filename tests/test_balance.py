"""Class weights: `--balance`."""

import csv
import dataclasses

import numpy as np
import pytest

from apps import Regression
from evaluation.report import score
from evaluation.tasks import classification
from evaluation.tasks.classification import Predictions
from exporting.export import export
from pipelines.examples import DataError
from pipelines.quarantine import training_splits
from pipelines.splits import Fold, split_fold
from training.train import train


def write(path, count=900, seed=0, **more):
    """Rows of which a tenth are of the class `rare`, with overlapping features."""
    random = np.random.default_rng(seed)
    rare = random.random(count) < 0.1
    columns = {
        "a": (random.normal(size=count) + 1.2 * rare).round(3),
        "b": random.normal(size=count).round(3),
        "w": random.integers(1, 4, count),
        "y": np.where(rare, "rare", "usual"),
        "number": random.normal(size=count).round(2),
    }
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return Regression(data=str(path), target="y", drop="number,w", balance=True, **more)


def totals(part):
    return np.bincount(part.targets, part.weights)


@pytest.mark.parametrize("weight", ["", "w"])
def test_classes_of_train_have_the_same_total_weight(weight, tmp_path):
    app = dataclasses.replace(write(tmp_path / "t.csv"), drop="number", weight=weight)
    splits = app.load_splits()
    rare, usual = totals(splits.train)
    assert rare == pytest.approx(usual)
    assert any("classes are balanced" in note for note in splits.notes)
    own = splits.test.weights
    assert own is None if not weight else len(np.unique(own)) == 3


def test_every_fold_balances_its_own_training_rows(tmp_path):
    splits = write(tmp_path / "t.csv", count=400).load_splits()
    for number in (1, 2, 3):
        fold = training_splits(splits, Fold(number, 3), None)
        rare, usual = totals(fold.train)
        assert rare == pytest.approx(usual)
        assert fold.test.weights is None
        assert any("classes are balanced" in note for note in fold.notes)
    assert split_fold(splits, Fold(1, 3)).balance


QUICK = ("blend", "linear")  # whose parts the others are


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, marks=[] if model in QUICK else pytest.mark.thorough)
        for model in ("blend", "mlp", "boosted", "linear", "svm")
    ],
)
def test_a_balanced_model_finds_the_rare_class(model, tmp_path):
    app = write(tmp_path / "t.csv", model=model, epochs=10, width=8)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    scores = score(run)
    rare = next(row for row in scores["per_class"] if row["class"] == "rare")
    assert rare["recall"] > 0.5
    assert scores["test"]["balanced_accuracy"] > 0.6
    assert [*scores["test"]] == ["accuracy", "balanced_accuracy", "loss", "macro_f1"]
    assert scores["baselines"]["majority"]["balanced_accuracy"] == 0.5
    assert scores["baselines"]["majority"]["accuracy"] > 0.85
    assert not any(
        "accuracy 0." in line.replace("balanced_accuracy", "") for line in scores["remarks"]
    )
    if model != "svm":
        mean = np.asarray(run.model(run.splits.test.numpy().features))[:, 0].mean()
        assert 0.25 < mean < 0.6  # about the frequency of balanced classes
    assert export(run)["parity"]["max_abs_diff"] < 1e-4


def test_balanced_accuracy_is_that_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score

    random = np.random.default_rng(0)
    probabilities, target = random.dirichlet([1, 2, 3], 90), random.integers(0, 3, 90)
    weights = random.integers(1, 4, 90)
    for given in (None, weights):
        predictions = Predictions(probabilities, target, given, balance=True)
        expected = balanced_accuracy_score(target, predictions.predicted, sample_weight=given)
        found = classification.metrics(predictions)["balanced_accuracy"]
        assert found == pytest.approx(expected)
        low, high = classification.intervals(predictions)["balanced_accuracy"]
        assert low < found < high


def test_scores_without_balance_have_no_balanced_accuracy():
    assert "balanced_accuracy" not in classification.metrics(Predictions(np.eye(2), np.arange(2)))


def test_a_target_of_numbers_is_refused(tmp_path):
    app = dataclasses.replace(write(tmp_path / "t.csv"), target="number", drop="")
    with pytest.raises(DataError, match="--balance with a target of numbers") as caught:
        app.load_splits()
    assert caught.value.exit_status == 2
