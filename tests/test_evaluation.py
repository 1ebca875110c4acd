"""Metrics equal those of scikit-learn, intervals cover the truth, figures are PNG files."""

import dataclasses
import json
import shutil
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import linear_model, metrics

from apps import Mnist
from evaluation import compare, report
from evaluation.modalities.baselines import majority, softmax_regression
from evaluation.modalities.images import baselines
from evaluation.tasks import classification, task_of
from evaluation.tasks.classification import Predictions, confusion, intervals, per_class
from evaluation.tasks.classification import metrics as metrics_of
from pipelines.examples import Examples
from pipelines.splits import Splits
from training.run import RunError
from training.train import train

QUIET = {"precision": "float32", "verbose": 0}
LABELS = tuple("abcde")


def random_predictions(count=500, classes=5, seed=0):
    """Make random probabilities that are better than chance."""
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)) + 1.5 * np.eye(classes)[target]
    powers = np.exp(logits)
    return Predictions(powers / powers.sum(1, keepdims=True), target)


def predictions_with_accuracy(share, count, seed):
    """Make predictions, each right with the probability `share`."""
    right = np.random.default_rng(seed).random(count) < share
    return Predictions(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9]), np.zeros(count, int))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_those_of_scikit_learn(seed):
    predictions = random_predictions(seed=seed)
    probabilities, target = predictions[:2]
    assert metrics_of(predictions) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(target, probabilities.argmax(1)),
            "loss": metrics.log_loss(target, probabilities, labels=range(5)),
            "macro_f1": metrics.f1_score(target, probabilities.argmax(1), average="macro"),
        }
    )


def test_a_probability_of_0_has_a_large_finite_loss():
    predictions = Predictions(np.array([[1.0, 0.0]]), np.array([1]))
    assert 20 < metrics_of(predictions)["loss"] < 100


def test_metrics_of_float32_probabilities_are_exact():
    probabilities, target = random_predictions(20_000)[:2]
    single = Predictions(probabilities.astype("float32"), target)
    assert metrics_of(single)["loss"] == pytest.approx(
        metrics.log_loss(target, probabilities), rel=1e-6
    )


def test_intervals_hold_the_score_and_narrow_with_more_examples():
    widths = []
    for count in (100, 1_000, 10_000):
        predictions = random_predictions(count)
        for name, (low, high) in intervals(predictions).items():
            assert low < metrics_of(predictions)[name] < high
        low, high = intervals(predictions)["accuracy"]
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    # The width falls with the root of the number of examples.
    assert widths[0] / widths[2] == pytest.approx(10, rel=0.25)


@pytest.mark.slow
def test_intervals_cover_the_truth_in_95_of_100():
    bounds = [
        intervals(predictions_with_accuracy(0.8, 300, seed))["accuracy"] for seed in range(60)
    ]
    covered = np.mean([low <= 0.8 <= high for low, high in bounds])
    assert 0.86 <= covered < 1


def test_intervals_are_the_same_for_the_same_predictions():
    assert intervals(random_predictions()) == intervals(random_predictions())


def test_majority_predicts_the_class_frequencies_of_training():
    predictions = majority(np.array([2, 2, 1]), 4, 3)
    np.testing.assert_allclose(predictions, [[0, 1 / 3, 2 / 3, 0]] * 3)


def test_the_majority_baseline_has_the_share_of_the_largest_class(load):
    splits = load("embedded")
    counts = np.bincount(splits.train.numpy().target)
    share = np.mean(splits.test.numpy().target == counts.argmax())
    assert metrics_of(dict(baselines(splits))["majority"])["accuracy"] == pytest.approx(share)


def test_softmax_regression_is_as_good_as_that_of_scikit_learn(load):
    splits = load("embedded")
    train_images, test_images = (
        part.numpy().features.reshape(len(part), -1) / 255 for part in (splits.train, splits.test)
    )
    model = linear_model.LogisticRegression(max_iter=500)
    model.fit(train_images, splits.train.numpy().target)
    score = model.score(test_images, splits.test.numpy().target)
    assert metrics_of(dict(baselines(splits))["softmax_regression"])["accuracy"] == pytest.approx(
        score, abs=0.03
    )


def test_softmax_regression_accepts_images_of_any_shape():
    random = np.random.default_rng(0)
    target = np.arange(60) % 3
    images = (random.normal(size=(60, 4, 4, 3)) + 40 * target[:, None, None, None]) % 256
    examples = Examples.of(images.astype("uint8"), target)
    predictions = softmax_regression(examples, examples, 3)
    assert predictions.shape == (60, 3)
    np.testing.assert_allclose(predictions.sum(1), 1, atol=1e-5)
    assert np.mean(predictions.argmax(1) == target) > 0.9


def test_the_table_of_classes_equals_that_of_scikit_learn():
    predictions = random_predictions()
    expected = metrics.precision_recall_fscore_support(predictions.target, predictions.predicted)
    rows = per_class(predictions, LABELS)
    assert [row["class"] for row in rows] == list(LABELS)
    for name, column in zip(("precision", "recall", "f1", "examples"), expected, strict=True):
        np.testing.assert_allclose([row[name] for row in rows], column)


def test_a_class_that_is_never_predicted_counts_0():
    predictions = Predictions(np.array([[0.9, 0.1, 0.0]] * 4), np.array([0, 0, 1, 1]))
    predicted, missed, absent = per_class(predictions, tuple("abc"))
    assert (predicted["precision"], predicted["recall"]) == (0.5, 1.0)
    assert (missed["recall"], missed["f1"], missed["examples"]) == (0.0, 0.0, 2)
    assert (absent["precision"], absent["examples"]) == (0.0, 0)


def test_confusion_equals_that_of_scikit_learn():
    predictions = random_predictions()
    expected = metrics.confusion_matrix(predictions.target, predictions.predicted)
    np.testing.assert_array_equal(confusion(predictions), expected)


def test_the_model_is_evaluated_on_all_test_examples(run):
    predictions = task_of(run).predict_test_set(run)
    raw, target = run.splits.test.numpy()
    np.testing.assert_array_equal(predictions.target, target)
    np.testing.assert_allclose(predictions.probabilities, run.model(raw), atol=1e-6)


def test_scores_are_written_and_beat_the_majority(copied):
    scored = report.score(copied)
    stored = json.loads((copied.path / "scores.json").read_text())
    assert stored["test"] == scored["test"] == metrics_of(task_of(copied).predict_test_set(copied))
    assert stored["examples"] == len(copied.splits.test)
    assert len(stored["per_class"]) == 10
    assert scored["test"]["accuracy"] > 0.8 > scored["baselines"]["majority"]["accuracy"]


def test_a_second_evaluation_gives_the_same_scores(copied):
    first, second = report.score(copied), report.score(copied)
    times = {"seconds": 0, "baseline_seconds": {}}
    assert first | times == second | times


def size_of_png(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", content[16:24])


@pytest.mark.parametrize("num_classes", [2, 31, 150, 1000])
def test_a_confusion_matrix_stays_of_a_sensible_size(num_classes):
    classes = np.arange(num_classes)
    labels = tuple(f"class {k}" for k in classes)
    figures_by_name = classification.figures(
        Predictions(np.eye(num_classes), classes), SimpleNamespace(labels=labels)
    )
    figure = figures_by_name["confusion.png"]
    assert max(figure.get_size_inches()) <= 15
    (axis,) = figure.axes
    named = [tick.get_text() for tick in axis.get_yticklabels()]
    assert named[0] == labels[0]
    assert len(named) == num_classes if num_classes <= 150 else 100 < len(named) < num_classes


@pytest.mark.slow
def test_figures_are_png_files_of_a_sensible_size(copied):
    names = report.evaluate(copied)["pictures"]
    expected = ["learning_curves", "confusion", "calibration", "worst", "roc", "precision_recall"]
    assert set(names) == {f"{name}.png" for name in expected}
    for name in names:
        width, height = size_of_png(copied.path / name)
        assert 300 < width < 3000
        assert 150 < height < 3000


@pytest.mark.slow
@pytest.mark.parametrize("mistakes", [0, 1, 30])
def test_figures_are_drawn_with_any_number_of_mistakes(mistakes, copied):
    from evaluation import figures

    count = 40
    predicted = np.arange(count) % 2
    target = np.where(np.arange(count) < mistakes, 1 - predicted, predicted)
    predictions = Predictions(np.eye(2)[predicted] * 0.8 + 0.1, target)
    images = Examples.of(np.zeros((count, 8, 8, 3), "uint8"), target)
    copied.remember(splits=Splits(images, images, images, ("one", "two")))
    for name in figures.draw(copied, predictions).names:
        size_of_png(copied.path / name)


def test_compare_lists_differing_fields_and_scores(tmp_path):
    app = Mnist(model="softmax", epochs=1)
    runs = [
        train(dataclasses.replace(app, seed=seed, l2=l2), run_dir=tmp_path / name, **QUIET)
        for name, seed, l2 in (("first", 0, 0.0), ("second", 1, 0.01))
    ]
    for run in runs:
        report.score(run)
    comparison = compare.compare(runs)
    assert comparison.columns == [
        *("run", "seed", "l2", "accuracy", "loss", "macro_f1"),
        *("parameters", "seconds", "other_runs"),
    ]
    rows = [list(row.values())[:3] for row in comparison.rows]
    assert rows == [["first", 0, 0.0], ["second", 1, 0.01]]
    assert [row["other_runs"] for row in comparison.rows] == [0, 1]
    assert comparison.warnings == []
    for row, cells, run in zip(comparison.rows, comparison.cells(), runs, strict=True):
        accuracy = metrics_of(task_of(run).predict_test_set(run))["accuracy"]
        assert row["accuracy"] == accuracy
        assert cells[3].startswith(f"{accuracy:.3f} [")


def copy_with_data(run, path, **data):
    """Copy an evaluated run, with other values in the manifest's data."""
    shutil.copytree(run.path, path)
    manifest = json.loads((path / "run.json").read_text())
    manifest["data"] |= data
    (path / "run.json").write_text(json.dumps(manifest))
    return type(run).load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"parts": {"train": "a", "valid": "b", "test": "c"}}, "test, validation and train"),
        ({"fold": {"number": 1, "of": 2}, "parts": None}, "folds: 1 of 2 and none"),
        ({"fingerprint": "other", "parts": None}, "do not show which is better"),
    ],
)
def test_compare_warns_of_different_data(run_cli, copied, tmp_path, data, message):
    report.score(copied)
    if data.get("parts", ...) is None:
        data = data | {"fingerprint": "other"}
    other = copy_with_data(copied, tmp_path / "other", **{k: v for k, v in data.items() if v})
    if "parts" not in {k for k, v in data.items() if v}:
        manifest = json.loads((other.path / "run.json").read_text())
        del manifest["data"]["parts"]
        (other.path / "run.json").write_text(json.dumps(manifest))
    status, output, _ = run_cli("compare", copied.path, other.path)
    assert status == 0
    assert message in output
    status, output, error = run_cli("compare", copied.path, other.path, "--strict", "--json")
    assert status == 1
    assert "cannot be compared" in error
    assert error.count(message) == 1
    assert message in json.loads(output)["warnings"][0]
    assert run_cli("compare", copied.path, copied.path, "--strict")[0] == 0


def test_compare_warns_of_different_training_examples(copied, tmp_path):
    report.score(copied)
    parts = copied.manifest["data"]["parts"] | {"train": "more"}
    other = copy_with_data(copied, tmp_path / "other", parts=parts)
    (message,) = compare.compare([copied, other]).warnings
    assert (
        message
        == "The runs differ in their train examples. They were evaluated on the same test examples."
    )


def test_compare_refuses_a_run_that_was_not_evaluated(copied):
    (copied.path / "scores.json").unlink(missing_ok=True)
    with pytest.raises(RunError, match="athanor mnist evaluate"):
        compare.compare([copied])


def test_baselines_use_only_training_labels(load):
    """If the test labels are shuffled, a baseline falls to chance."""
    splits = load("embedded")
    raw, target = splits.test.numpy()
    shuffled = np.random.default_rng(0).permutation(target)
    other = dataclasses.replace(splits, test=Examples.of(raw, shuffled))
    assert metrics_of(dict(baselines(other))["softmax_regression"])["accuracy"] < 0.2
