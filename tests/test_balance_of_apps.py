"""`--balance` of images and texts; tests/test_balance.py has that of rows."""

import csv
import dataclasses

import keras
import numpy as np
import pytest
from made import random_images
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from apps import Finetune, Mnist, Text
from apps.finetune.linear_probe import regularization_path
from apps.finetune.weighted_targets import WeightedTargetLoss, one_hot_targets
from apps.fit_data import FitData
from evaluation.modalities import images as judged_images
from evaluation.modalities import texts as judged_texts
from evaluation.report import score
from evaluation.tasks.classification import per_class
from exporting.export import export
from pipelines.class_balance import balance_classes, balanced_class_weights
from pipelines.examples import Examples
from pipelines.splits import Splits
from training.train import train

RARE, USUAL = 0, 1


def draw_classes(count, random):
    return np.where(random.random(count) < 0.12, RARE, USUAL)


def images(path, count=900):
    """Noisy images; those of the rare class are a little brighter in one half."""
    random = np.random.default_rng(0)
    classes = draw_classes(count, random)
    pixels = random.normal(110, 60, (count, 8, 8))
    pixels[classes == RARE, :4] += 25
    np.savez(path, x=pixels.clip(0, 255).astype("uint8"), y=classes)
    return f"npz:{path}"


def texts(path, count=900):
    """Texts of ten words, of which each class takes some more often."""
    random = np.random.default_rng(0)
    words = np.array(["late", "lost", "broken", "refund", "fine", "quick", "good", "again"])
    shares = {RARE: np.repeat([0.16, 0.09], 4), USUAL: np.repeat([0.09, 0.16], 4)}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number, label in enumerate(draw_classes(count, random)):
            drawn = random.choice(words, 10, p=shares[label])
            writer.writerow([f"{' '.join(drawn)} {number}", ("rare", "usual")[label]])
    return f"csv:{path}"


CASES = {
    "mnist": lambda path, **more: Mnist(
        data=images(path / "i.npz"), model="mlp", epochs=4, augment=0.0, **more
    ),
    "text": lambda path, **more: Text(
        data=texts(path / "t.csv"), width=8, vocabulary=100, model="cnn", epochs=6, **more
    ),
}


def recalls(scores):
    return np.array([row["recall"] for row in scores["per_class"]])


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_a_balanced_model_finds_the_rare_class(name, tmp_path):
    app = CASES[name](tmp_path, balance=True)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    totals = np.bincount(run.splits.train.targets, run.splits.train.weights)
    assert totals[RARE] == pytest.approx(totals[USUAL])
    assert run.splits.test.weights is None
    assert any("classes are balanced" in note for note in run.splits.notes)
    scores = score(run)
    assert recalls(scores)[RARE] > 0.5
    assert [*scores["test"]] == ["accuracy", "balanced_accuracy", "loss", "macro_f1"]
    assert scores["test"]["balanced_accuracy"] == pytest.approx(recalls(scores).mean())
    assert scores["baselines"]["majority"]["balanced_accuracy"] == 0.5
    assert scores["baselines"]["majority"]["accuracy"] > 0.8
    probabilities = np.asarray(run.model(run.splits.test.numpy().features))
    assert 0.25 < probabilities[:, RARE].mean() < 0.65
    assert export(run)["parity"]["max_abs_diff"] < 1e-4


@pytest.mark.thorough
@pytest.mark.parametrize("name", CASES)
def test_without_balance_the_rare_class_is_hardly_found(name, tmp_path):
    """The data are hard enough for the other test to fail without weights."""
    run = train(CASES[name](tmp_path), run_dir=tmp_path / "run", verbose=0)
    scores = score(run)
    assert recalls(scores)[RARE] < 0.4
    assert "balanced_accuracy" not in scores["test"]


@pytest.mark.parametrize(
    ("name", "judged", "baseline", "gain"),
    [
        ("mnist", judged_images, "softmax_regression", 0.1),
        # Its many features hardly leave a training text on the wrong side.
        ("text", judged_texts, "nb-svm", 0.03),
    ],
)
def test_a_linear_baseline_is_balanced_too(name, judged, baseline, gain, tmp_path):
    found = {}
    for balance in (False, True):
        splits = CASES[name](tmp_path, balance=balance).load_splits()
        predictions = dict(judged.baselines(splits))[baseline]
        assert predictions.balance == balance
        found[balance] = per_class(predictions, splits.labels)[RARE]["recall"]
    assert found[True] > found[False] + gain


def test_the_regularization_path_weighs_examples():
    """It ends at scikit-learn's regression of balanced classes, whose weights are ours."""
    random = np.random.default_rng(0)
    classes = draw_classes(300, random)
    features = random.normal(size=(300, 5)).astype("float32") + classes[:, None]
    weights = balanced_class_weights(Examples.of(features, classes), 2)
    *_, (kernel, bias) = regularization_path(
        features, classes, 2, weights=weights[classes], copies=1, count=5
    )
    scale = features.std()
    plain = LogisticRegression(C=10**0.15, tol=1e-8, class_weight="balanced")
    expected = plain.fit(features / scale, classes).decision_function(features / scale)
    found = features @ kernel + bias
    np.testing.assert_allclose(found[:, 1] - found[:, 0], expected, atol=0.1)


def test_the_first_stage_of_finetune_is_balanced():
    """The head of balanced classes gives the rare class its share of random images."""
    made = random_images(200, (8, 8, 3), classes=2)
    rare = dataclasses.replace(made, target=draw_classes(200, np.random.default_rng(0)))
    splits = Splits(rare, rare, rare, labels=("rare", "usual"))
    app = Finetune(batch_size=8, epochs=0, head_epochs=1)
    means = {}
    for name, part in (("plain", splits), ("balanced", balance_classes(splits))):
        keras.utils.set_random_seed(0)
        network = app.make_network(part)
        fit_data = FitData(None, None, 10**6, part, app.make_preprocessing(part), 8)
        app.fit(network, fit_data, callbacks=[], verbose=0)
        prepared = app.make_preprocessing(part)(rare.features)
        means[name] = softmax(network.predict(prepared, verbose=0), 1)[:, RARE].mean()
    assert means["plain"] < 0.2
    assert 0.35 < means["balanced"] < 0.65


@pytest.mark.thorough
def test_a_balanced_finetune_run_is_scored_and_exported(tmp_path):
    app = Finetune(epochs=1, head_epochs=2, augment="mixup", balance=True)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    assert [*score(run)["test"]][:2] == ["accuracy", "balanced_accuracy"]
    assert export(run)["parity"]["max_abs_diff"] < 1e-4


def test_a_mixture_has_the_weights_of_its_parts():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    weights, logits = np.array([3.0, 0.5, 1.0]), np.array([[0.3, -1.0, 2.0]], "float32")
    targets, plain = one_hot_targets(3, weights), one_hot_targets(3, None)
    each = [float(loss.call(plain[k : k + 1], logits)[0]) for k in range(3)]
    weighted = WeightedTargetLoss(loss)
    for k in range(3):
        found = float(weighted.call(targets[k : k + 1], logits)[0])
        assert found == pytest.approx(weights[k] * each[k], rel=1e-6)
    mixed = float(weighted.call(0.25 * targets[:1] + 0.75 * targets[1:2], logits)[0])
    assert mixed == pytest.approx(0.25 * 3.0 * each[0] + 0.75 * 0.5 * each[1], rel=1e-6)
