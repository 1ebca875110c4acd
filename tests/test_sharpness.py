"""Sharpness-aware steps equal the papers' formulas, under plain `fit`."""

import keras
import numpy as np
import pytest

from training.sharpness import SharpnessAware, SharpnessAwareModel

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(24, 3)).astype("float32")
ANSWERS = RANDOM.normal(size=(24, 2)).astype("float32")


def network(kind, optimizer, **fields):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    model = kind(inputs, keras.layers.Dense(2)(inputs))
    for name, value in fields.items():
        setattr(model, name, value)
    model.compile(optimizer, loss="mse", metrics=["mae"])
    return model


def fit(model, epochs=2, batch_size=24, **how):
    how = {"shuffle": False, "verbose": 0} | how
    return model.fit(ROWS, ANSWERS, epochs=epochs, batch_size=batch_size, **how).history


def by_hand(kernel, bias, steps, rate, radius, eta=None):
    """SAM, or ASAM with eta, on the mean squared error of a linear model, whole batches."""
    w = [np.asarray(one, "float64") for one in (kernel, bias)]

    def slopes(weights):
        error = 2 * (ROWS @ weights[0] + weights[1] - ANSWERS) / ANSWERS.size
        return [ROWS.T @ error, error.sum(0)]

    for _ in range(steps):
        scales = [np.abs(one) + eta if eta else 1.0 for one in w]
        pulled = [scale * one for scale, one in zip(scales, slopes(w), strict=True)]
        norm = np.sqrt(sum((one**2).sum() for one in pulled))
        moves = [radius * scale * one / norm for scale, one in zip(scales, pulled, strict=True)]
        above = slopes([one + move for one, move in zip(w, moves, strict=True)])
        w = [one - rate * slope for one, slope in zip(w, above, strict=True)]
    return w


@pytest.mark.parametrize("fields", [{"radius": 0.5}, {"radius": 0.5, "adaptive": True}], ids=str)
def test_steps_are_those_of_the_paper(fields):
    model = network(SharpnessAwareModel, keras.optimizers.SGD(0.25), **fields)
    start = model.get_weights()
    fit(model, 8)
    eta = model.eta if fields.get("adaptive") else None
    expected = by_hand(*start, 8, 0.25, 0.5, eta)
    for one, other in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    plain = by_hand(*start, 8, 0.25, 1e-9)
    assert np.abs(plain[0] - expected[0]).max() > 1e-3


def test_a_radius_of_zero_is_plain_training():
    ends = []
    for kind, fields in ((SharpnessAwareModel, {"radius": 0.0}), (keras.Model, {})):
        model = network(kind, keras.optimizers.Adam(0.01), **fields)
        history = fit(model, 3, 8)
        ends.append((model.get_weights(), history))
    for one, other in zip(ends[0][0], ends[1][0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for name, told in ends[1][1].items():
        np.testing.assert_allclose(ends[0][1][name], told, rtol=1e-5, err_msg=name)


@pytest.mark.thorough
def test_several_steps_a_call_are_the_same():
    ends = []
    for count in (1, 3):
        model = network(SharpnessAwareModel, keras.optimizers.SGD(0.1))
        model.compile(keras.optimizers.SGD(0.1), loss="mse", steps_per_execution=count)
        fit(model, 2, 8)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.thorough
def test_in_mixed_float16_the_loss_falls():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        history = fit(network(SharpnessAwareModel, keras.optimizers.SGD(0.1)), 10, 8)
    finally:
        keras.config.set_dtype_policy(before)
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.thorough
def test_a_mix_in_of_a_model_of_ones_own_and_a_file(tmp_path):
    class Net(SharpnessAware, keras.Model):
        radius = 0.2

    fit(network(Net, "sgd"))
    model = network(SharpnessAwareModel, "sgd")
    fit(model)
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    assert type(again) is SharpnessAwareModel
    np.testing.assert_array_equal(again.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))


@pytest.mark.parametrize("radius", [-0.1, float("nan")])
def test_a_wrong_radius_is_refused(radius):
    with pytest.raises(ValueError, match=r"Received radius=.*; expected a finite number"):
        fit(network(SharpnessAwareModel, "sgd", radius=radius))
