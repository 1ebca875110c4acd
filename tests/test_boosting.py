"""Boosted trees as a layer, and the blend of networks, trees and a linear model."""

import csv

import keras
import numpy as np
import pytest

from apps import Regression
from apps.regression import blending, boosting, mixing
from apps.regression.boosting import BoostingOptions, Table
from apps.regression.ensemble_layers import Blend, TreeEnsemble, TreeInputs
from apps.regression.matrices import RowMatrices
from apps.regression.trees import TreePart, choose_inputs, explained_variance, fit_trees
from evaluation.console_tables import score_notes
from evaluation.report import score
from exporting.export import export
from inference.predict import predict
from training.train import train

OPTIONS = BoostingOptions(30, 0.1, 32)
TINY = {"epochs": 2, "width": 8}


def rows(count=600, categories=True):
    """Inputs of two categorical columns (codes) and four numbers, and a target."""
    random = np.random.default_rng(0)
    codes = np.stack([random.choice([0, 1, 3, 23], count), random.integers(0, 24, count)], 1)
    numbers = random.normal(size=(count, 4)).astype("float32").round(2)
    target = numbers[:, 0] * numbers[:, 1] + numbers[:, 2] * (codes[:, 0] == 1)
    target += np.isin(codes[:, 1], [3, 7, 9]) + random.normal(0, 0.1, count)
    x = np.concatenate([codes, numbers], 1) if categories else numbers
    return x.astype("float32"), target


def as_layer_inputs(x, num_categorical):
    x = x.copy()
    x[:, :num_categorical] = 2.0 ** -x[:, :num_categorical]
    return x


@pytest.mark.parametrize("num_categorical", [0, 2])
@pytest.mark.parametrize("classes", [(), (0, 1), (0, 1, 2), (1, 3)], ids=str)
def test_layer_equals_scikit_learn(classes, num_categorical):
    x, target = rows(categories=bool(num_categorical))
    num_classes = 4 if classes == (1, 3) else len(classes)
    if classes:
        cuts = np.quantile(target, np.arange(1, len(classes)) / len(classes))
        target = np.array(classes)[np.digitize(target, cuts)]
    table = Table(x[:500], target[:500], num_classes, num_categorical)
    trees = boosting.fit_boosted(table, OPTIONS)
    layer = TreeEnsemble.of(trees, num_classes, categorical=num_categorical)
    outputs = layer(as_layer_inputs(table.x, num_categorical)).numpy()
    categorical = np.arange(x.shape[1]) < num_categorical
    model = OPTIONS.model(classes=bool(classes), categorical=categorical).fit(table.x, table.target)
    if not classes:
        np.testing.assert_allclose(outputs[:, 0], model.predict(table.x), rtol=1e-5, atol=1e-5)
        return
    probabilities = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    expected = model.predict_proba(table.x)
    np.testing.assert_allclose(probabilities[:, list(classes)], expected, atol=2e-4)


@pytest.mark.parametrize("high", [np.nextafter(np.float32(1), np.float32(2)), np.float32(2)])
def test_thresholds_are_no_midpoints_and_divide_float32_numbers(high):
    """New examples often equal the midpoint of two numbers; 1.5 is that of 1 and 2."""
    x = np.array([1, high] * 30, "float32")[:, None]
    trees = boosting.fit_boosted(Table(x, (x[:, 0] == high) * 1.0), OPTIONS)
    left, right = TreeEnsemble.of(trees, 0)(np.array([[1], [high]], "float32")).numpy()[:, 0]
    assert left < right
    assert trees.thresholds[0, 0] in (1, np.float32(1.382))


def test_thresholds_leave_values_together_that_differ_by_rounding():
    """Times within one session differ by a few units of the last place of float32."""
    random = np.random.default_rng(0)
    sessions = np.repeat(random.normal(size=60), 20)
    x = (sessions * (1 + np.tile(np.arange(20) * 4e-7, 60))).astype("float32")[:, None]
    trees = boosting.fit_boosted(Table(x, random.normal(size=len(x)) + sessions), OPTIONS)
    layer = TreeEnsemble.of(trees, 0)
    expected = layer(x).numpy()
    for rounding in (1 - 3e-7, 1 + 3e-7):
        np.testing.assert_array_equal(layer((x * rounding).astype("float32")), expected)


def test_unknown_category_goes_where_scikit_learn_sends_missing_ones():
    x, target = rows()
    table = Table(x, target, 0, 2)
    layer = TreeEnsemble.of(boosting.fit_boosted(table, OPTIONS), 0, categorical=2)
    model = OPTIONS.model(classes=False, categorical=np.arange(6) < 2).fit(x, target)
    unknown = x.copy()
    unknown[:, 0] = 5
    expected = model.predict(np.where(np.arange(6) == 0, np.nan, unknown))
    outputs = layer(as_layer_inputs(unknown, 2)).numpy()[:, 0]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


def test_training_examples_of_one_class_give_no_trees():
    x, _ = rows(50)
    trees = boosting.fit_boosted(Table(x, np.full(50, 1), 3), OPTIONS)
    outputs = TreeEnsemble.of(trees, 3)(x).numpy()
    assert (outputs.argmax(1) == 1).all()


def test_layers_survive_saving(tmp_path):
    x, target = rows()
    trees = boosting.fit_boosted(Table(x, target, 0, 2), OPTIONS)
    inputs = keras.Input((6,))
    outputs = TreeEnsemble.of(trees, 0, categorical=2)(inputs)
    blended = Blend(["a", "b"])([outputs, outputs])
    model = keras.Model(inputs, blended)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    given = as_layer_inputs(x, 2)
    np.testing.assert_array_equal(loaded(given), model(given))


def test_tree_inputs_are_powers_of_two_of_categories_then_numbers():
    layer = TreeInputs([[1, 2], [3]], [0, 1, 2])
    numbers = np.array([[0.5, -1.0], [0.25, 3.0], [0.0, 0.0]], "float32")
    flags = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]], "float32")
    inputs = layer({"numbers": numbers, "flags": flags})
    np.testing.assert_array_equal(layer.codes(inputs)[:, :2], [[1, 23], [0, 0], [23, 23]])
    np.testing.assert_array_equal(inputs[:, 2:], np.concatenate([numbers, flags[:, :1]], 1))


def test_explained_variance_of_numbers_and_categories():
    random = np.random.default_rng(0)
    codes, numbers = random.integers(0, 3, (2, 4000))
    target = np.array([0.0, 4.0, 1.0])[codes] + numbers
    x = np.stack([codes, random.integers(0, 3, 4000), numbers, random.normal(size=4000)], 1)
    explained = explained_variance(Table(x, target, 0, 2)) / 4000
    np.testing.assert_allclose(explained, [26 / 9, 0, 2 / 3, 0], atol=0.15)


def test_wide_tables_give_trees_the_columns_that_matter(tmp_path):
    random = np.random.default_rng(0)
    numbers = random.normal(size=(80, 400)).round(3)
    target = numbers[:, [3, 390]].sum(1).round(3)
    path = tmp_path / "wide.csv"
    table = np.concatenate([numbers, target[:, None]], 1)
    names = ",".join([*(f"n{k}" for k in range(400)), "y"])
    np.savetxt(path, table, delimiter=",", header=names, comments="", fmt="%.3f")
    app = Regression(data=str(path), target="y")
    splits = app.load_splits()
    layer = choose_inputs(RowMatrices(app.make_preprocessing(splits), splits.train), 0)
    assert len(layer.numbers) == 100
    assert {3, 390} <= {*layer.numbers}


def test_weights_favour_the_better_prediction():
    random = np.random.default_rng(0)
    target = random.normal(size=500)
    errors = random.normal(size=(500, 3)) * [0.1, 0.2, 5.0]
    predictions = (target[:, None] + errors)[..., None]

    def losses(outputs):
        return np.square(outputs[:, 0] - target).mean()

    weights = mixing.best_weights(predictions, losses)
    np.testing.assert_allclose(weights, [0.8, 0.2, 0], atol=0.05)
    assert weights.sum() == pytest.approx(1)


def test_mix_of_logits_averages_probabilities():
    logits = np.log([[[0.9, 0.1], [0.5, 0.5]]])
    mixed = mixing.mix(logits, np.array([0.25, 0.75]))
    np.testing.assert_allclose(np.exp(mixed), [[0.6, 0.4]])
    layer = Blend(["a", "b"])
    layer.build([(1, 2), (1, 2)])
    layer.mixture.assign([0.25, 0.75])
    np.testing.assert_allclose(
        layer([*logits.transpose(1, 0, 2)])[:, 0], mixed.astype("float32"), rtol=1e-5
    )


def history(run):
    with (run.path / "history.csv").open() as file:
        return [*csv.DictReader(file)]


@pytest.mark.thorough
@pytest.mark.parametrize("model", ["boosted", "blend"])
def test_model_trains_predicts_and_exports(model, tmp_path):
    run = train(Regression(model=model, **TINY), run_dir=tmp_path / "run", verbose=0)
    assert len(history(run)) == {"boosted": 1, "blend": 3}[model]
    row = ",".join(str(value) for value in run.splits.test.numpy([0]).features["numbers"][0])
    names = ",".join(run.splits.train.columns)
    (tmp_path / "one.csv").write_text(f"{names}\n{row}\n")
    assert len(predict(run, [str(tmp_path / "one.csv")])) == 1
    assert export(run)["parity"]["passed"]


def table_of_steps(tmp_path):
    """Write a table that trees learn and networks of two epochs do not."""
    random = np.random.default_rng(0)
    numbers = random.uniform(-1, 1, (400, 3)).round(4)
    target = np.where(numbers[:, 0] * numbers[:, 1] > 0, 5, -5) + numbers[:, 2].round(2)
    table = np.concatenate([numbers, target[:, None]], 1)
    path = tmp_path / "steps.csv"
    np.savetxt(path, table, delimiter=",", header="a,b,c,y", comments="", fmt="%.4f")
    return str(path)


def test_networks_far_behind_the_trees_stop_in_large_tables(tmp_path, monkeypatch):
    """In a small table they do not; see tests/test_kernels.py."""
    monkeypatch.setattr(blending, "EPOCHS_TO_COMPARE", 1)
    monkeypatch.setattr(blending, "MIN_ROWS_TO_COMPARE", 100)
    app = Regression(data=table_of_steps(tmp_path), target="y", **TINY)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    assert len(history(run)) == 2  # with the epoch that weighs the parts


@pytest.mark.thorough
def test_trees_of_a_blend_are_fitted_again_with_validation_examples(tmp_path):
    """The weights and the validation loss come before that."""
    app = Regression(data=table_of_steps(tmp_path), target="y", model="blend", **TINY)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    losses = [float(row["val_loss"]) for row in history(run)]
    assert losses[-1] < 0.5 * min(losses[:-1])
    network = next(layer for layer in run.model.layers if layer.name.startswith("functional"))
    mixture = network.get_layer("blend").mixture.numpy()
    assert mixture.sum() == pytest.approx(1)
    names = network.get_layer("blend").names
    assert mixture[names.index("boosted trees")] > 0.5
    blend = run.manifest["blend"]
    assert [*blend] == ["networks", "linear", "boosted trees", "kernels"]
    assert blend["boosted trees"]["validation_loss"] < 0.5 * blend["linear"]["validation_loss"]
    (note,) = [note for note in score_notes(score(run)) if "blend" in note]
    assert note.startswith("blend of networks ")
    trees = network.get_layer("trees")
    saved = [weights.copy() for weights in trees.get_weights()]
    splits, prepare = run.splits, run.app.make_preprocessing(run.splits)
    train_part, valid = (RowMatrices(prepare, part) for part in (splits.train, splits.valid))
    TreePart.of(network).refit(train_part, valid, 0)
    for before, after in zip(saved, trees.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(saved[2], fit_trees(train_part, valid, 0).ensemble.get_weights()[2])
