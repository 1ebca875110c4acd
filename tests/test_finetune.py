"""The fine-tuning app: frozen layers stay, and features computed once are correct."""

import csv
import types
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest
from made import random_images
from made import splits as made_splits
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from apps import FieldError, Finetune
from apps.finetune import backbones, digits_backbone, freezing, linear_probe, two_stage
from apps.finetune.linear_probe import regularization_path
from apps.finetune.two_stage import _is_better
from apps.fit_data import FitData
from evaluation.modalities.images import BASELINE_SIDE_PIXELS, _shrink
from inference.modalities.grad_cam import heat
from pipelines.batches import ordered_batches
from pipelines.images.photo_augmentation import mixing_augmentation, single_image_augmentation
from training.callbacks import KeepBest

WEIGHTS = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "keras_weights"
SIDE = 32


@pytest.fixture(scope="module")
def mobilenet():
    return backbones.build("mobilenet_0.25", SIDE, "none")


@pytest.fixture(scope="module")
def made():
    return made_splits((8, 8, 3), classes=3)


def fitted(made, **fields):
    """The network and its weights before and after both stages on random images."""
    keras.utils.set_random_seed(0)
    app = Finetune(batch_size=8, epochs=1, head_epochs=1, learning_rate=0.01, **fields)
    network = app.make_network(made)
    before = {variable.path: variable.numpy() for variable in network.variables}
    fit_data = FitData(None, None, 10**6, made, app.make_preprocessing(made), 8)
    app.fit(network, fit_data, callbacks=[], verbose=0)
    after = {variable.path: variable.numpy() for variable in network.variables}
    return network, {path for path in before if not np.array_equal(before[path], after[path])}


def paths(layers):
    return {variable.path for layer in layers for variable in layer.variables}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["frozen", "learn"])
def test_statistics_of_batch_normalisation_move_only_with_learn(made, policy):
    _, moved = fitted(made, batch_norm=policy, unfreeze=0.9)
    statistics = {path for path in moved if "moving" in path}
    assert bool(statistics) == (policy == "learn")


def test_frozen_layers_stay_and_the_others_train(made):
    network, moved = fitted(made, unfreeze=0.45)
    parts = freezing.parts_of(network)
    assert not moved & paths([parts.frozen])
    assert not any("moving" in path for path in moved)  # statistics of batch normalisation
    trained = {variable.path for variable in parts.blocks.trainable_variables}
    assert trained <= moved
    assert paths([parts.head]) <= moved


@pytest.mark.slow
def test_without_blocks_only_the_head_trains(made):
    network, moved = fitted(made, unfreeze=0.0)
    assert moved == {one.path for one in network.get_layer("head").trainable_variables}


def test_features_computed_once_equal_those_of_the_network(mobilenet):
    parts = freezing.divide(mobilenet, 4, trainable=0.5, dropout=0.2, batch_norm="frozen")
    prepared = np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype("float32")
    features = parts.frozen(prepared, training=False)
    whole = parts.network()(prepared, training=False)
    np.testing.assert_allclose(parts.above_cut()(features, training=False), whole, atol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_the_cut_leaves_the_given_fraction_trainable(mobilenet, share):
    parts = freezing.divide(mobilenet, 4, trainable=share, dropout=0.0, batch_norm="frozen")
    total = mobilenet.count_params()
    assert share <= parts.blocks.count_params() / total <= share + 0.25


def test_deeper_layers_have_lower_learning_rates(mobilenet):
    parts = freezing.divide(mobilenet, 4, trainable=0.9, dropout=0.0, batch_norm="frozen")
    groups = freezing.groups(parts, 0.3)
    assert [group.learning_rate_scale for group in groups] == pytest.approx([1.0, 0.3, 0.09])
    told = freezing.describe(parts, 0.3, 1e-3)
    assert "frozen, to" in told and "rate 9e-05" in told


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 0.01), ("prodigy", 1.0)])
def test_the_digits_network_has_a_higher_learning_rate_unless_it_is_estimated(optimizer, rate):
    app = Finetune(optimizer=optimizer, schedule="constant")
    assert app._head_learning_rate(100) == pytest.approx(rate)


def test_the_table_shows_the_learning_rate_of_a_short_run(mobilenet, monkeypatch, capsys):
    parts = freezing.divide(mobilenet, 4, trainable=0.5, dropout=0.0, batch_norm="frozen")
    plans = []
    monkeypatch.setattr(two_stage, "fit", lambda _, __, plan, **___: plans.append(plan))
    monkeypatch.setattr(freezing, "parts_of", lambda _: parts)
    data = types.SimpleNamespace(train=range(300), balance=False)
    fit_data = types.SimpleNamespace(steps_per_epoch=30, batch_size=10, splits=data)
    Finetune.tiny().fit(None, fit_data, verbose=1)
    course = plans[0].make_optimizer(60)._learning_rate
    assert max(float(course(step)) for step in range(60)) == pytest.approx(0.005)
    assert "rate 0.005" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_0.25", "mobilenetv3small", "efficientnetv2b0"])
def test_pixels_are_rescaled_exactly_once(name):
    backbone = backbones.build(name, SIDE, "none")
    within = any(isinstance(layer, keras.layers.Rescaling) for layer in backbone.layers)
    before = backbones.rescaling(name).scale != 1.0
    assert within != before


def test_every_backbone_of_the_table_exists():
    for name in backbones.NAMES:
        backbones.require(name)
    for family in backbones.FAMILIES.values():
        assert hasattr(keras.applications, family.builder)


def test_a_wrong_backbone_names_the_nearest():
    with pytest.raises(FieldError, match=r"Did you mean 'mobilenet_0.75'"):
        Finetune(backbone="mobilenet_0.7").load_splits()


@pytest.mark.slow
def test_missing_and_wrong_weights_are_named(tmp_path, mobilenet):
    with pytest.raises(FieldError, match="does not exist"):
        backbones.build("mobilenet_0.25", SIDE, str(tmp_path / "none.h5"))
    mobilenet.save_weights(tmp_path / "mobilenet_0.25.weights.h5")
    with pytest.raises(FieldError, match=r"holds mobilenet_0.25.weights.h5; expected a file for"):
        backbones.build("mobilenet_0.5", SIDE, str(tmp_path))
    with pytest.raises(FieldError, match=r"not those of mobilenet_0.5"):
        backbones.build("mobilenet_0.5", SIDE, str(tmp_path / "mobilenet_0.25.weights.h5"))
    found = backbones.build("mobilenet_0.25", SIDE, str(tmp_path))
    for ours, theirs in zip(found.get_weights(), mobilenet.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_a_network_the_file_to_fetch_is_named(monkeypatch):
    def refused(*_arguments, **_options):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refused)
    with pytest.raises(FieldError, match=r"mobilenet_2_5_224_tf_no_top.h5 and put it at .*models"):
        backbones.build("mobilenet_0.25", SIDE, "imagenet")


@pytest.mark.slow
def test_the_embedded_backbone_is_the_same_every_time():
    train = digits_backbone._train_on_digits
    for one, other in zip(train(8, epochs=1), train(8, epochs=1), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2), (1, 3)])
def test_the_regularization_path_ends_at_logistic_regression(classes):
    """It covers all classes of the head, though training lacks one, and equals scikit-learn."""
    random = np.random.default_rng(0)
    target = random.choice(classes, 200)
    features = (np.eye(4, 30)[target] + random.normal(size=(200, 30))).astype("float32")
    *_, (weights, bias) = regularization_path(features, target, 4, copies=1, count=5)
    assert weights.shape == (30, 4) and bias.shape == (4,)
    scale = features.std()
    plain = LogisticRegression(C=10**0.15, max_iter=5000, tol=1e-8).fit(features / scale, target)
    expected = np.zeros((200, 4))
    expected[:, list(classes)] = plain.predict_proba(features / scale)
    np.testing.assert_allclose(softmax(features @ weights + bias, 1), expected, atol=0.02)


def test_a_regression_that_has_not_converged_is_a_candidate_too(monkeypatch):
    monkeypatch.setattr(linear_probe, "MAX_ITERATIONS", 1)
    features = np.random.default_rng(0).normal(size=(50, 8)).astype("float32")
    found = [*regularization_path(features, np.arange(50) % 2, 2, copies=1, count=2)]
    assert len(found) == 2


def test_the_second_stage_is_kept_only_beyond_chance():
    random = np.random.default_rng(0)
    head = random.uniform(0, 2, 100)
    noise = random.normal(size=100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)  # its standard error is 0.1
    assert not _is_better(head, head)
    assert not _is_better(head - 0.09 + noise, head)
    assert _is_better(head - 0.11 + noise, head)
    assert not _is_better(head[:1] - 1, head[:1])


def test_without_epochs_only_the_head_trains(made):
    """A run without steps must not get the invalid learning rate 0."""
    assert Finetune(epochs=0)._head_learning_rate(0) == pytest.approx(0.01)
    app = Finetune(batch_size=8, epochs=0, head_epochs=1)
    network = app.make_network(made)
    before = {variable.path: variable.numpy() for variable in network.variables}
    fit_data = FitData(None, None, 10**6, made, app.make_preprocessing(made), 8)
    app.fit(network, fit_data, callbacks=[], verbose=0)
    moved = {one.path for one in network.variables if not np.array_equal(before[one.path], one)}
    assert moved == {one.path for one in network.get_layer("head").trainable_variables}


@pytest.mark.thorough
def test_a_second_stage_that_is_not_better_leaves_the_head(made, tmp_path):
    """A learning rate of almost 0 changes nothing: the first stage is kept."""
    app = Finetune(batch_size=8, epochs=2, head_epochs=3, learning_rate=1e-12, patience=0)
    network = app.make_network(made)
    kept = KeepBest(network, tmp_path / "best.keras", "val_loss")
    fit_data = FitData(None, None, 0, made, app.make_preprocessing(made), 8)
    app.fit(network, fit_data, callbacks=[kept], verbose=0)
    assert 1 <= kept.epoch <= 3


def test_epochs_are_numbered_through_both_stages(tiny_run):
    with (tiny_run(Finetune).path / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_few_images_get_small_batches():
    assert [Finetune().effective_batch_size(count) for count in (12, 126, 5000)] == [1, 6, 32]
    assert Finetune(batch_size=16).effective_batch_size(126) == 16


@pytest.mark.parametrize("kind", ["crop", "rotate", "colour", "randaugment"])
def test_augmentation_depends_on_the_seed(kind):
    images = random_images(6, (16, 16, 3)).features
    change = single_image_augmentation(kind, 1.0)
    one, again, other = (change(images, None, np.array([0, k]))[0] for k in (1, 1, 2))
    assert one.shape == images.shape and one.dtype == images.dtype
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other) and not np.array_equal(one, images)
    assert single_image_augmentation(kind, 0.0) is None


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixtures_stay_distributions(kind):
    features = np.random.default_rng(0).normal(size=(6, 4, 4, 5)).astype("float32")
    target = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    mix = mixing_augmentation(kind, 1.0)
    changed, shares = mix(features, target, np.array([0, 1]))
    assert changed.shape == features.shape
    np.testing.assert_allclose(np.sum(shares, 1), 1, atol=1e-6)
    assert not np.array_equal(shares, target)


def test_heat_maps_show_the_region_of_a_class():
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(1, 1, kernel_initializer="ones", use_bias=False)(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant([[1.0, -1.0]]))(x)
    picture = np.zeros((1, 8, 8, 1), "float32")
    picture[0, 2, 5] = 1
    shown = heat(keras.Model(images, logits), picture, np.array([0]))
    assert np.unravel_index(shown[0].argmax(), (8, 8)) == (2, 5)
    flat = keras.Model(images, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
    assert heat(flat, picture, np.array([0])) is None


def test_the_linear_baseline_gets_downscaled_images():
    large = random_images(3, (100, 70, 3))
    assert _shrink(large).features.shape == (3, 50, 35, 3)
    small = random_images(3, (BASELINE_SIDE_PIXELS, BASELINE_SIDE_PIXELS, 1))
    assert _shrink(small) is small


def test_prepared_images_are_in_the_range_of_the_backbone(made):
    prepared = Finetune().make_preprocessing(made)
    features, _ = next(iter(ordered_batches(made.train, batch_size=4, prepare=prepared)))
    assert -1 <= np.min(features) < -0.5 and 0.5 < np.max(features) <= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_flowers(load, tmp_path):
    if not WEIGHTS.is_dir():
        pytest.skip("needs ../shared/data/keras_weights")
    load("tfds:mnist")
    from evaluation import report
    from training.train import train

    app = Finetune(data="tfds:tf_flowers160", weights=str(WEIGHTS))
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    assert report.score(run)["test"]["accuracy"] >= 0.87
