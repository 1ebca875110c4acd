"""Scale the network's correction to the linear model by a factor estimated on validation."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from apps.fit_data import FitData
from pipelines.batches import ordered_batches

LINEAR = "linear"  # name of the layer that is the linear model
BATCH_SIZE = 1000
MAX_VALIDATION_EXAMPLES = 10_000  # by which a scale is estimated
MAX_PREPARED_NUMBERS = 2**24  # inputs of the network that are kept in memory
SCALE_STEP = 1e-3  # of the finite differences by which the likelihood is differentiated

Weights = float | np.ndarray  # of examples [n]; 1 if all count the same


@keras.saving.register_keras_serializable("athanor")
class ShrunkResidual(keras.layers.Layer):
    """Multiplies its input by a scale in [0, 1], except in training."""

    def build(self, shape: tuple) -> None:  # noqa: ARG002
        """Create the scale, which is not trained by gradient descent."""
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Any shape -> the same shape."""
        return x if training else ops.multiply(x, self.scale)


class ResidualShrinkage(keras.callbacks.Callback):
    """Sets the scale of `ShrunkResidual` before every validation, from validation examples.

    The scale is the best one on these examples minus two standard errors. With many
    examples that is close to 1; with few examples and no clear gain it is 0, and the
    linear model alone predicts.

    Args:
        fit_data: of the run.
        estimate: from corrections [n, members, outputs], linear predictions [n, outputs],
            targets [n] and weights [n], or 1, to the scale; see `regression_scale` and
            `classification_scale`.

    """

    def __init__(self, fit_data: FitData, estimate: Callable[..., float]) -> None:
        super().__init__()
        # Every worker reads all of them, though `fit` validates on the worker's rows alone.
        valid = fit_data.splits.valid
        sample = valid.select(np.arange(len(valid))[:MAX_VALIDATION_EXAMPLES])
        self.valid: Any = ordered_batches(sample, batch_size=BATCH_SIZE, prepare=fit_data.prepare)
        self.target, self.estimate = sample.targets, estimate
        self.weights = 1.0 if sample.weights is None else sample.weights
        self.both_parts: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Make the graph that gives the correction and the linear prediction."""
        self.layer = next(x for x in self.model.layers if isinstance(x, ShrunkResidual))
        width = sum(one.shape[-1] for one in self.model.inputs)
        if len(self.target) * width <= MAX_PREPARED_NUMBERS:
            # Preparing thousands of columns takes longer than the network, before every validation.
            self.valid = list(self.valid)
        outputs = [self.layer.input, self.model.get_layer(LINEAR).output]
        both_parts = keras.Model(self.model.input, outputs)
        self.both_parts = tf.function(
            lambda x: both_parts(x, training=False), reduce_retracing=True, autograph=False
        )

    def on_test_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Set the scale."""
        batches = zip(*(self.both_parts(features) for features, _ in self.valid), strict=True)
        correction, linear = (np.concatenate(parts).astype("float64") for parts in batches)
        self.layer.scale.assign(self.estimate(correction, linear, self.target, self.weights))


def regression_scale(
    correction: np.ndarray,
    linear: np.ndarray,
    target: np.ndarray,
    weights: Weights,
    *,
    mean: float,
    deviation: float,
) -> float:
    """Return the scale for targets of this mean and standard deviation, by least squares."""
    residual = (target - mean) / deviation - linear[:, 0]
    return least_squares_scale(correction[..., 0].mean(1), residual, weights)


def least_squares_scale(
    correction: np.ndarray, residual: np.ndarray, weights: Weights = 1.0
) -> float:
    """Return the factor in [0, 1] of `correction` nearest `residual`, minus two standard errors.

    References:
        White, A Heteroskedasticity-Consistent Covariance Matrix Estimator, Econometrica
        1980, for the standard error.

    """
    weighted = weights * correction
    power = (weighted * correction).sum()
    if not power:
        return 1.0
    best = (weighted * residual).sum() / power
    scores = weighted * (residual - best * correction)
    error = np.sqrt(np.square(scores).sum()) / power
    return float(np.clip(best - 2 * error, 0.0, 1.0))


def classification_scale(
    correction: np.ndarray, linear: np.ndarray, target: np.ndarray, weights: Weights = 1.0
) -> float:
    """Return the factor in [0, 1] with the highest likelihood, minus two standard errors.

    Args:
        correction: logits [n, members, classes].
        linear: logits [n, classes].
        target: class numbers [n].
        weights: of the examples, [n].

    """
    if not correction.any():
        return 1.0
    rows = np.arange(len(target))

    def losses(scale: float) -> np.ndarray:
        logits = linear[:, None] + scale * correction
        log_probabilities = log_softmax(logits, axis=-1)[rows, :, target]
        return weights * (np.log(correction.shape[1]) - logsumexp(log_probabilities, axis=1))

    return cautious_scale(losses)


def cautious_scale(losses: Callable[[float], np.ndarray], most: float = 2.0) -> float:
    """Return the scale in [0, 1] of the least loss, minus two standard errors.

    The standard error follows White (1980), as in `least_squares_scale`, from the slopes and
    the curvature of the loss.

    Args:
        losses: from a scale to the loss of each example.
        most: the largest scale that is tried, before the errors are subtracted.

    """
    best = minimize_scalar(lambda scale: losses(scale).sum(), bounds=(0, most), method="bounded").x
    low, middle, high = (losses(best + step) for step in (-SCALE_STEP, 0.0, SCALE_STEP))
    slopes = (high - low) / (2 * SCALE_STEP)
    curvature = (high - 2 * middle + low).sum() / SCALE_STEP**2
    if curvature <= 0:
        return 0.0
    error = np.sqrt(np.square(slopes).sum()) / curvature
    return float(np.clip(best - 2 * error, 0.0, 1.0))
