"""The classifier of small images."""

import keras
import numpy as np
import pytest
from made import splits
from sklearn.datasets import load_digits

from apps import FieldError, Mnist
from evaluation import report
from training.train import train

SHAPES = [(28, 28, 1), (32, 32, 3), (8, 8, 1)]


def layers_of(app, kind, shape=(8, 8, 1)):
    return [layer for layer in app.make_network(splits(shape)).layers if isinstance(layer, kind)]


def test_default_network_is_small():
    assert Mnist().make_network(splits((28, 28, 1))).count_params() <= 200_000


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("model", ["softmax", "mlp", "cnn"])
def test_every_model_takes_every_shape(model, shape):
    network = Mnist(model=model).make_network(splits(shape, classes=7))
    assert network(np.zeros((2, *shape), "float32")).shape == (2, 7)


def test_softmax_has_no_hidden_layer():
    network = Mnist(model="softmax").make_network(splits((8, 8, 1)))
    assert network.count_params() == 8 * 8 * 10 + 10


def test_models_differ():
    shape = splits((28, 28, 1))
    counts = {
        Mnist(model=name).make_network(shape).count_params() for name in ("softmax", "mlp", "cnn")
    }
    assert len(counts) == 3


def test_dropout_drops_its_fraction():
    (layer,) = layers_of(Mnist(model="mlp", dropout=0.4), keras.layers.Dropout)
    silent = np.mean(np.asarray(layer(np.ones((100, 100), "float32"), training=True)) == 0)
    assert silent == pytest.approx(0.4, abs=0.03)
    assert not layers_of(Mnist(model="mlp"), keras.layers.Dropout)


@pytest.mark.parametrize("model", ["softmax", "mlp", "cnn"])
def test_l2_penalises_every_kernel(model):
    network = Mnist(model=model, l2=0.01).make_network(splits((8, 8, 1)))
    kernels = [weight for weight in network.trainable_weights if weight.name == "kernel"]
    squares = sum(float(np.square(kernel.numpy()).sum()) for kernel in kernels)
    assert float(sum(network.losses)) == pytest.approx(0.01 * squares, rel=1e-4)
    assert not Mnist(model=model).make_network(splits((8, 8, 1))).losses


@pytest.mark.parametrize(("model", "hidden"), [("mlp", 2), ("cnn", 3)])
def test_batch_norm_follows_every_hidden_layer(model, hidden):
    kind = keras.layers.BatchNormalization
    assert len(layers_of(Mnist(model=model), kind)) == hidden
    assert not layers_of(Mnist(model=model, batch_norm=False), kind)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_fused_normalisation_equals_that_of_keras(batch_norm):
    """In training and inference a network gives the outputs of Keras's own layer."""
    network = Mnist(batch_norm=batch_norm).make_network(splits((8, 8, 1)))
    plain = keras.models.clone_model(network, clone_function=_by_keras)
    plain.set_weights(network.get_weights())
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype("float32")
    for training in (True, False):
        ours, theirs = (np.asarray(one(images, training=training)) for one in (network, plain))
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    for weight, same in zip(network.get_weights(), plain.get_weights(), strict=True):
        # The fused kernel's moving variance is the unbiased one: n / (n - 1) larger.
        np.testing.assert_allclose(weight, same, rtol=1e-3, atol=1e-5)


def _by_keras(layer):
    if not isinstance(layer, keras.layers.BatchNormalization):
        return layer.__class__.from_config(layer.get_config())
    return keras.layers.BatchNormalization(momentum=layer.momentum, name=layer.name)


def test_augment_zero_changes_nothing():
    assert Mnist(augment=0.0).make_augmentation() is None
    assert Mnist(augment=0.5).make_augmentation() is not None


WRONG = [
    ("epochs", 0),
    ("epochs", 2.5),
    ("epochs", True),
    ("batch_size", 0),
    ("learning_rate", 0.0),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("learning_rate", "fast"),
    ("patience", -1),
    ("seed", -1),
    ("seed", 2**31),
    ("dropout", 1.0),
    ("dropout", -0.1),
    ("augment", -0.1),
    ("augment", 10.0),
    ("l2", -1e-9),
    ("model", "rnn"),
    ("schedule", "linear"),
    ("batch_norm", 1),
    ("optimizer", 3),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_field_out_of_bounds_is_refused(name, value):
    flag = name.replace("_", "-")
    with pytest.raises(FieldError, match=rf"Received --{flag} .*; expected "):
        Mnist(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("dropout", 0.0), ("dropout", 0.999), ("seed", 2**31 - 1), ("patience", 0), ("l2", 5)],
)
def test_a_field_on_its_bound_is_taken(name, value):
    assert getattr(Mnist(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("count", "batch_size", "steps", "rate"),
    [(60_000, 96, 7500, 0.2), (1245, 96, 144, 0.2), (288, 48, 72, 0.03), (72, 24, 36, 0.00375)],
)
def test_few_images_get_small_batches_and_learning_rates(count, batch_size, steps, rate):
    assert Mnist().effective_batch_size(count) == batch_size
    assert Mnist().epochs * (count // batch_size) == steps
    assert Mnist().peak_learning_rate_for(steps) == pytest.approx(rate)
    assert Mnist(batch_size=batch_size).peak_learning_rate_for(steps) >= rate
    assert Mnist(learning_rate=0.1).peak_learning_rate_for(steps) == 0.1


def test_default_flags_learn_from_300_images(tmp_path):
    """With batches of 96 and the full learning rate, the loss rose after the first epoch."""
    digits = load_digits()
    x, y = digits.images[:300] / 16, digits.target[:300]
    data = {"x_train": x, "y_train": y, "x_test": digits.images[300:] / 16}
    run = train(
        Mnist(data=data | {"y_test": digits.target[300:]}), run_dir=tmp_path / "run", verbose=0
    )
    scores = report.score(run)
    assert scores["test"]["loss"] < 0.6


@pytest.mark.slow
def test_default_flags_read_mnist(load, tmp_path):
    """The score that the module docstring of apps/mnist/app.py states."""
    load("tfds:mnist")
    runs = [
        train(Mnist(data="tfds:mnist", seed=seed), run_dir=tmp_path / f"seed-{seed}")
        for seed in range(3)
    ]
    scores = [report.score(run)["test"]["accuracy"] for run in runs]
    assert np.mean(scores) >= 0.994, scores
