"""Optimizers around optimizers: what is special in each; the rest is in test_conformance.py."""

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

ROWS, ANSWERS = (some.reshape(40, 3).astype("float32") for some in (INPUTS, TARGETS))
SGD, Adam = keras.optimizers.SGD, keras.optimizers.Adam


def model(optimizer):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3, name="head")]
    made = keras.Sequential(layers)
    made.compile(optimizer, loss="mse")
    return made


def fit(made, epochs=2, callbacks=()):
    how = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": list(callbacks)}
    return made.fit(ROWS, ANSWERS, epochs=epochs, validation_data=(ROWS, ANSWERS), **how)


@pytest.mark.parametrize("inner", [SGD, Adam, RAdam, Prodigy], ids=lambda cls: cls.__name__)
def test_shares_of_one_change_nothing(inner):
    rate = 1.0 if inner is Prodigy else 0.01
    shared = LayerwiseLearningRate(inner(rate), {"variable": 1.0})
    # On PyTorch Keras's own take all variables in one call, which rounds otherwise.
    rounding = 1e-6 if keras.backend.backend() == "torch" else 0
    for one, other in zip(weights_after(inner(rate), 20), weights_after(shared, 20), strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding)


@pytest.mark.parametrize("decay", [None, 0.5])
@pytest.mark.parametrize("inner", [Adam, Adan], ids=lambda cls: cls.__name__)
def test_shares_scale_rate_and_decay(inner, decay):
    some = [keras.Variable(one, name=f"part_{place}") for place, one in enumerate(START)]
    made = LayerwiseLearningRate(inner(0.01, weight_decay=decay), {"part_0": 0.25, "part_1": 0.0})
    made.apply([ops.ones(one.shape) for one in START], some)
    whole = make_variables()
    inner(0.0025, weight_decay=decay).apply([ops.ones(one.shape) for one in START], whole)
    np.testing.assert_allclose(values_of(some)[0], values_of(whole)[0], rtol=1e-6)
    np.testing.assert_array_equal(values_of(some)[1], START[1])


def test_shares_scale_both_decays_of_muon():
    some = [keras.Variable(one, name=f"part_{place}") for place, one in enumerate(START)]
    made = LayerwiseLearningRate(keras.optimizers.Muon(0.01), {"part": 0.0})
    made.apply([ops.ones(one.shape) for one in START], some)
    for one, start in zip(values_of(some), START, strict=True):
        np.testing.assert_array_equal(one, start)


def test_the_first_expression_that_matches_counts():
    made = model(LayerwiseLearningRate(SGD(0.1), {"head/kernel": 0.0, "head": 1.0, "dense": 0.0}))
    before = [one.copy() for one in made.get_weights()]
    fit(made)
    moved = [bool((a != b).any()) for a, b in zip(before, made.get_weights(), strict=True)]
    assert moved == [False, False, False, True]


def test_one_rate_is_seen_and_set():
    made = model(LayerwiseLearningRate(SGD(0.1), {"head": 0.5}))
    fit(made, 1)
    assert float(made.optimizer.learning_rate) == pytest.approx(0.1)
    before = [one.copy() for one in made.get_weights()]
    made.optimizer.learning_rate = 0.0
    fit(made, 1)
    for one, other in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_a_wrong_multiplier_is_refused(share):
    with pytest.raises(ValueError, match=r"Received multipliers\['head'\]=.*; expected a finite"):
        LayerwiseLearningRate(SGD(0.1), {"head": share})


def test_an_expression_without_a_match_is_refused():
    made = model(LayerwiseLearningRate(SGD(0.1), {"haed": 0.1}))
    with pytest.raises(
        ValueError, match=r"Received the multiplier of 'haed', .*such as of sequential"
    ):
        fit(made)


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


def test_centred_gradients_keep_sums():
    some = make_variables()
    apply_steps(CentralizedGradient(SGD(0.1)), some, 20)
    np.testing.assert_allclose(values_of(some)[0].sum(0), START[0].sum(0), atol=1e-5)
    assert np.abs(values_of(some)[1] - START[1]).max() > 0.1


def test_weights_loaded_after_the_build_are_where_it_begins():
    for wrapper in (Lookahead, ScheduleFree):
        made = wrapper(SGD(0.0))
        some = make_variables()
        made.build(some)
        for one in some:
            one.assign(ops.ones(one.shape))
        apply_steps(made, some, 12)
        assert (values_of(some)[0] == 1).all(), wrapper.__name__


@pytest.mark.slow
def test_wrappers_in_wrappers_come_back_from_a_file(tmp_path):
    def made():
        inner = LayerwiseLearningRate(RAdam(0.01, weight_decay=0.1), {"head": 0.5})
        return model(Lookahead(ScheduleFree(inner, momentum=0.8), sync_period=3))

    whole, first = made(), made()
    fit(whole, 4, [AveragedWeights()])
    fit(first, 2, [AveragedWeights()])
    first.save(tmp_path / "half.keras")
    second = keras.saving.load_model(tmp_path / "half.keras")
    assert second.optimizer.inner.momentum == 0.8
    assert second.optimizer.innermost.weight_decay == 0.1
    fit(second, 2, [AveragedWeights()])
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class Watch(keras.callbacks.Callback):
    """Keeps what the model holds at the end of each epoch, and the validation loss told."""

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.held = [one.copy() for one in self.model.get_weights()]
        self.told = logs["val_loss"]


def test_schedule_free_shows_the_average_outside_of_training():
    made, watch = model(ScheduleFree(SGD(0.5))), Watch()
    fit(made, 3, [AveragedWeights(), watch])
    averages = [ops.convert_to_numpy(one) for one in made.optimizer._averages]
    for held, now, average in zip(watch.held, made.get_weights(), averages, strict=True):
        np.testing.assert_array_equal(held, average)
        np.testing.assert_array_equal(now, average)
    assert made.evaluate(ROWS, ANSWERS, verbose=0) == pytest.approx(watch.told, rel=1e-6)
    made.optimizer.to_train()
    assert made.evaluate(ROWS, ANSWERS, verbose=0) != pytest.approx(watch.told, rel=1e-4)


@pytest.mark.slow
def test_schedule_free_ends_fit_with_the_average_also_without_the_callback():
    made = model(ScheduleFree(SGD(0.5)))
    fit(made, 3)
    for one, average in zip(made.get_weights(), made.optimizer._averages, strict=True):
        np.testing.assert_array_equal(one, ops.convert_to_numpy(average))


@pytest.mark.slow
def test_schedule_free_trains_on_as_if_never_evaluated():
    plain, evaluated = model(ScheduleFree(SGD(0.5))), model(ScheduleFree(SGD(0.5)))
    fit(plain, 4, [AveragedWeights()])
    for _ in range(2):
        fit(evaluated, 2, [AveragedWeights()])
        evaluated.evaluate(ROWS, ANSWERS, verbose=0)
    for one, other in zip(plain.get_weights(), evaluated.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_averaged_weights_leave_other_optimizers_alone():
    ends = []
    for callbacks in ([], [AveragedWeights()]):
        made = model(Adam(0.01))
        fit(made, 2, callbacks)
        ends.append(made.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_schedule_free_decays_at_the_point_of_the_gradient():
    """Equations of the paper with decay, by hand."""
    made = ScheduleFree(SGD(0.1, weight_decay=0.5), momentum=0.9)
    some = [keras.Variable(np.ones(2, "float32"))]
    x = z = y = 1.0
    for step in range(1, 6):
        made.apply([ops.full((2,), 0.3)], some)
        z = z - 0.1 * 0.3 - 0.1 * 0.5 * y
        x = x + (z - x) / step
        y = 0.1 * z + 0.9 * x
        np.testing.assert_allclose(values_of(some)[0], y, rtol=1e-6)


def test_schedule_free_refuses_a_second_average():
    with pytest.raises(ValueError, match="Received use_ema; expected none"):
        ScheduleFree(SGD(0.1, use_ema=True))


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_schedule_free_refuses_a_wrong_momentum(momentum):
    with pytest.raises(ValueError, match=r"Received momentum=.*; expected 0 <= momentum < 1"):
        ScheduleFree(SGD(0.1), momentum=momentum)


def test_prodigy_knows_how_far_lookahead_went():
    """The distance that it keeps is that from the start to the weights."""
    made, some = Lookahead(Prodigy(), sync_period=2), make_variables()
    for steps in (1, 2, 5, 6):
        apply_steps(made, some, steps)
        for place, (one, start) in enumerate(zip(values_of(some), START, strict=True)):
            displacement = made.inner._slots["displacement"][place].numpy()
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
    made = layer()
    made.build((None, *shape))
    made(np.zeros((1, *shape), "float32"))  # a layer's path is known once it was called
    table = made.trainable_variables[0]
    gradient = np.random.default_rng(0).normal(size=table.shape).astype("float32")
    before = table.numpy()
    CentralizedGradient(SGD(1.0)).apply([ops.convert_to_tensor(gradient)], [table])
    expected = gradient if axes is None else gradient - gradient.mean(axes, keepdims=True)
    np.testing.assert_allclose(before - table.numpy(), expected, atol=1e-5)


def test_a_table_of_any_name_is_not_centred():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients come in rows on TensorFlow alone")
    import tensorflow as tf

    table = keras.Variable(np.zeros((4, 2), "float32"), name="taste")
    rows = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([4, 2]))
    CentralizedGradient(SGD(1.0)).apply([rows], [table])
    np.testing.assert_array_equal(table.numpy(), [[0, 0], [-2, -2], [0, 0], [0, 0]])
