"""Wrappers of optimizers: properties of each one; test_conformance.py checks them all."""

import keras
import numpy as np
import pytest
from keras import ops

from conformance.subject import (
    INPUTS,
    START,
    TARGETS,
    apply_steps,
    make_variables,
    values_of,
    weights_after,
)
from optimizers import (
    Adan,
    AveragedWeights,
    CentralizedGradient,
    LayerwiseLearningRate,
    Lookahead,
    Prodigy,
    RAdam,
    ScheduleFree,
)

ROWS, ROW_TARGETS = (array.reshape(40, 3).astype("float32") for array in (INPUTS, TARGETS))
SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam


def make_model(optimizer):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3, name="head")]
    model = keras.Sequential(layers)
    model.compile(optimizer, loss="mse")
    return model


def fit(model, epochs=2, callbacks=()):
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": list(callbacks)}
    return model.fit(
        ROWS, ROW_TARGETS, epochs=epochs, validation_data=(ROWS, ROW_TARGETS), **options
    )


@pytest.mark.parametrize("inner", [SGD, Adam, RAdam, Prodigy], ids=lambda cls: cls.__name__)
def test_multipliers_of_one_change_nothing(inner):
    rate = 1.0 if inner is Prodigy else 0.01
    shared = LayerwiseLearningRate(inner(rate), {"variable": 1.0})
    # On PyTorch Keras's optimizers update all variables in one call, which rounds differently.
    rounding = 1e-6 if keras.backend.backend() == "torch" else 0
    for one, other in zip(weights_after(inner(rate), 20), weights_after(shared, 20), strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding)


@pytest.mark.parametrize("decay", [None, 0.5])
@pytest.mark.parametrize("inner", [Adam, Adan], ids=lambda cls: cls.__name__)
def test_multipliers_scale_learning_rate_and_weight_decay(inner, decay):
    weights = [keras.Variable(one, name=f"part_{index}") for index, one in enumerate(START)]
    optimizer = LayerwiseLearningRate(
        inner(0.01, weight_decay=decay), {"part_0": 0.25, "part_1": 0.0}
    )
    optimizer.apply([ops.ones(one.shape) for one in START], weights)
    expected = make_variables()
    inner(0.0025, weight_decay=decay).apply([ops.ones(one.shape) for one in START], expected)
    np.testing.assert_allclose(values_of(weights)[0], values_of(expected)[0], rtol=1e-6)
    np.testing.assert_array_equal(values_of(weights)[1], START[1])


def test_multipliers_scale_both_weight_decays_of_muon():
    weights = [keras.Variable(one, name=f"part_{index}") for index, one in enumerate(START)]
    optimizer = LayerwiseLearningRate(keras.optimizers.Muon(0.01), {"part": 0.0})
    optimizer.apply([ops.ones(one.shape) for one in START], weights)
    for one, start in zip(values_of(weights), START, strict=True):
        np.testing.assert_array_equal(one, start)


def test_the_first_matching_expression_counts():
    model = make_model(
        LayerwiseLearningRate(SGD(0.1), {"head/kernel": 0.0, "head": 1.0, "dense": 0.0})
    )
    before = [one.copy() for one in model.get_weights()]
    fit(model)
    moved = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False, False, False, True]


def test_the_learning_rate_of_a_wrapper_can_be_read_and_set():
    model = make_model(LayerwiseLearningRate(SGD(0.1), {"head": 0.5}))
    fit(model, 1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    before = [one.copy() for one in model.get_weights()]
    model.optimizer.learning_rate = 0.0
    fit(model, 1)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("multiplier", [-0.1, float("nan"), float("inf")])
def test_a_wrong_multiplier_is_refused(multiplier):
    with pytest.raises(ValueError, match=r"Received multipliers\['head'\]=.*; expected a finite"):
        LayerwiseLearningRate(SGD(0.1), {"head": multiplier})


def test_an_expression_without_a_match_is_refused():
    model = make_model(LayerwiseLearningRate(SGD(0.1), {"haed": 0.1}))
    with pytest.raises(
        ValueError, match=r"Received the multiplier of 'haed', .*such as of sequential"
    ):
        fit(model)


def test_a_used_optimizer_is_refused():
    used = Adam(0.01)
    apply_steps(used, make_variables(), 1)
    with pytest.raises(ValueError, match=r"Received the Adam .* that was built; expected a new"):
        Lookahead(used)
    with pytest.raises(ValueError, match="that holds others"):
        Lookahead(keras.optimizers.LossScaleOptimizer(Adam(0.01)))


@pytest.mark.parametrize("period", [0, 2.5])
def test_a_wrong_period_is_refused(period):
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        Lookahead("sgd", sync_period=period)


def test_centred_gradients_keep_the_sums_of_weights():
    weights = make_variables()
    apply_steps(CentralizedGradient(SGD(0.1)), weights, 20)
    np.testing.assert_allclose(values_of(weights)[0].sum(0), START[0].sum(0), atol=1e-5)
    assert np.abs(values_of(weights)[1] - START[1]).max() > 0.1


def test_wrappers_start_at_weights_that_were_loaded_after_build():
    for wrapper in (Lookahead, ScheduleFree):
        optimizer = wrapper(SGD(0.0))
        weights = make_variables()
        optimizer.build(weights)
        for one in weights:
            one.assign(ops.ones(one.shape))
        apply_steps(optimizer, weights, 12)
        assert (values_of(weights)[0] == 1).all(), wrapper.__name__


@pytest.mark.slow
def test_nested_wrappers_resume_from_a_file(tmp_path):
    def make():
        inner = LayerwiseLearningRate(RAdam(0.01, weight_decay=0.1), {"head": 0.5})
        return make_model(Lookahead(ScheduleFree(inner, momentum=0.8), sync_period=3))

    expected, first = make(), make()
    fit(expected, 4, [AveragedWeights()])
    fit(first, 2, [AveragedWeights()])
    first.save(tmp_path / "half.keras")
    second = keras.saving.load_model(tmp_path / "half.keras")
    assert second.optimizer.inner.momentum == 0.8
    assert second.optimizer.innermost.weight_decay == 0.1
    fit(second, 2, [AveragedWeights()])
    for one, other in zip(expected.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class RecordWeights(keras.callbacks.Callback):
    """Records the weights and the validation loss after each epoch."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.weights = [one.copy() for one in self.model.get_weights()]
        self.val_loss = logs["val_loss"]


def test_schedule_free_puts_the_average_into_the_model_after_each_epoch():
    model, recorder = make_model(ScheduleFree(SGD(0.5))), RecordWeights()
    fit(model, 3, [AveragedWeights(), recorder])
    averages = [ops.convert_to_numpy(one) for one in model.optimizer._averages]
    for weights, now, average in zip(recorder.weights, model.get_weights(), averages, strict=True):
        np.testing.assert_array_equal(weights, average)
        np.testing.assert_array_equal(now, average)
    assert model.evaluate(ROWS, ROW_TARGETS, verbose=0) == pytest.approx(
        recorder.val_loss, rel=1e-6
    )
    model.optimizer.to_train()
    assert model.evaluate(ROWS, ROW_TARGETS, verbose=0) != pytest.approx(
        recorder.val_loss, rel=1e-4
    )


@pytest.mark.slow
def test_schedule_free_ends_fit_with_the_average_without_the_callback():
    model = make_model(ScheduleFree(SGD(0.5)))
    fit(model, 3)
    for one, average in zip(model.get_weights(), model.optimizer._averages, strict=True):
        np.testing.assert_array_equal(one, ops.convert_to_numpy(average))


@pytest.mark.slow
def test_evaluation_does_not_change_the_training_of_schedule_free():
    plain, evaluated = make_model(ScheduleFree(SGD(0.5))), make_model(ScheduleFree(SGD(0.5)))
    fit(plain, 4, [AveragedWeights()])
    for _ in range(2):
        fit(evaluated, 2, [AveragedWeights()])
        evaluated.evaluate(ROWS, ROW_TARGETS, verbose=0)
    for one, other in zip(plain.get_weights(), evaluated.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_averaged_weights_do_not_change_other_optimizers():
    final_weights = []
    for callbacks in ([], [AveragedWeights()]):
        model = make_model(Adam(0.01))
        fit(model, 2, callbacks)
        final_weights.append(model.get_weights())
    for one, other in zip(*final_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_schedule_free_applies_weight_decay_at_y():
    """Compares with the equations of the paper, written out for one weight."""
    optimizer = ScheduleFree(SGD(0.1, weight_decay=0.5), momentum=0.9)
    weights = [keras.Variable(np.ones(2, "float32"))]
    x = z = y = 1.0
    for step in range(1, 6):
        optimizer.apply([ops.full((2,), 0.3)], weights)
        z = z - 0.1 * 0.3 - 0.1 * 0.5 * y
        x = x + (z - x) / step
        y = 0.1 * z + 0.9 * x
        np.testing.assert_allclose(values_of(weights)[0], y, rtol=1e-6)


def test_schedule_free_refuses_a_second_average():
    with pytest.raises(ValueError, match="Received use_ema; expected none"):
        ScheduleFree(SGD(0.1, use_ema=True))


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_schedule_free_refuses_a_wrong_momentum(momentum):
    with pytest.raises(ValueError, match=r"Received momentum=.*; expected 0 <= momentum < 1"):
        ScheduleFree(SGD(0.1), momentum=momentum)


def test_prodigy_inside_lookahead_measures_the_distance_of_the_weights():
    """`displacement` is the difference between the start and the weights."""
    optimizer, weights = Lookahead(Prodigy(), sync_period=2), make_variables()
    for steps in (1, 2, 5, 6):
        apply_steps(optimizer, weights, steps)
        for index, (one, start) in enumerate(zip(values_of(weights), START, strict=True)):
            displacement = optimizer.inner._slots["displacement"][index].numpy()
            np.testing.assert_allclose(displacement, start - one, atol=1e-6)
            assert np.abs(displacement).max() > 0


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (lambda: keras.layers.Dense(3), (5,), (0,)),
        (lambda: keras.layers.Conv2D(3, 2), (4, 4, 5), (0, 1, 2)),
        (lambda: keras.layers.DepthwiseConv2D(2), (4, 4, 5), (0, 1)),
        (lambda: keras.layers.DepthwiseConv2D(2, name="conv_dw_1"), (4, 4, 5), (0, 1)),
        (lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=2), (4, 4, 5), (0, 1)),
        (lambda: keras.layers.Conv2DTranspose(3, 2), (4, 4, 5), (0, 1, 3)),
        (lambda: keras.layers.Embedding(6, 4), (3,), None),
    ],
    ids=["dense", "conv", "depthwise", "depthwise, renamed", "multiplier", "transposed", "table"],
)
def test_gradients_are_centred_over_the_weights_of_a_unit(layer, shape, axes):
    built = layer()
    built.build((None, *shape))
    built(np.zeros((1, *shape), "float32"))  # a layer's path is known once it was called
    table = built.trainable_variables[0]
    gradient = np.random.default_rng(0).normal(size=table.shape).astype("float32")
    before = table.numpy()
    CentralizedGradient(SGD(1.0)).apply([ops.convert_to_tensor(gradient)], [table])
    expected = gradient if axes is None else gradient - gradient.mean(axes, keepdims=True)
    np.testing.assert_allclose(before - table.numpy(), expected, atol=1e-5)


def test_an_embedding_of_any_name_is_not_centred():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has sparse gradients")
    import tensorflow as tf

    table = keras.Variable(np.zeros((4, 2), "float32"), name="taste")
    rows = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([4, 2]))
    CentralizedGradient(SGD(1.0)).apply([rows], [table])
    np.testing.assert_array_equal(table.numpy(), [[0, 0], [-2, -2], [0, 0], [0, 0]])
