"""How much of what a network adds to a linear answer is believed: as much as validation shows."""

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

BATCH = 1000
MOST_JUDGED = 10_000  # validation examples that a share is found by
STEP = 1e-3  # of a share, for slopes


@keras.saving.register_keras_serializable("athanor")
class Trusted(keras.layers.Layer):
    """Its input as it is in training, and times a share from 0 to 1 otherwise."""

    def build(self, shape: tuple) -> None:  # noqa: ARG002
        """The share, which no gradient changes."""
        self.share = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Any shape -> the same shape."""
        return x if training else ops.multiply(x, self.share)


class Trust(keras.callbacks.Callback):
    """Sets the share before every validation, from the validation examples.

    The share of the additions that suits them best, less two standard errors of it. With
    many examples that is all of the additions; with few, when they do not clearly help, it
    is none, and the linear answer stays.

    Args:
        feeds: of the run.
        best: from additions [n, members, outputs], linear answers [n, outputs] and targets
            [n] to the share, see `share_of_numbers` and `share_of_classes`.

    """

    def __init__(self, fit_data: FitData, best: Callable[..., float]) -> None:
        super().__init__()
        # All of them on every worker, of which `fit` judges its share.
        some = fit_data.splits.valid.select(np.arange(len(fit_data.splits.valid))[:MOST_JUDGED])
        self.valid = ordered_batches(some, batch_size=BATCH, prepare=fit_data.prepare)
        self.target, self.best = some.targets, best
        self.parts: Any = None

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Find both parts of the answer."""
        self.layer = next(x for x in self.model.layers if isinstance(x, Trusted))
        outputs = [self.layer.input, self.model.get_layer("straight").output]
        parts = keras.Model(self.model.input, outputs)
        self.parts = tf.function(
            lambda x: parts(x, training=False), reduce_retracing=True, autograph=False
        )

    def on_test_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Set the share."""
        given = zip(*(self.parts(features) for features, _ in self.valid), strict=True)
        added, straight = (np.concatenate(parts).astype("float64") for parts in given)
        self.layer.share.assign(self.best(added, straight, self.target))


def share_of_numbers(
    added: np.ndarray, straight: np.ndarray, target: np.ndarray, mean: float, scale: float
) -> float:
    """The share that least squares finds, of targets of this mean and deviation."""
    return share(added[..., 0].mean(1), (target - mean) / scale - straight[:, 0])


def share(added: np.ndarray, rest: np.ndarray) -> float:
    """The factor from 0 to 1 by which `added` [n] explains `rest` [n], less two standard errors.

    References:
        White, A Heteroskedasticity-Consistent Covariance Matrix Estimator, Econometrica
        1980, for the standard error.

    """
    power = np.square(added).sum()
    if not power:
        return 1.0
    best = (added * rest).sum() / power
    error = np.sqrt(np.square(added * (rest - best * added)).sum()) / power
    return float(np.clip(best - 2 * error, 0.0, 1.0))


def share_of_classes(added: np.ndarray, straight: np.ndarray, target: np.ndarray) -> float:
    """The factor from 0 to 1 that makes the classes most likely, less two standard errors.

    Arguments are logits [n, members, classes] and [n, classes], and classes [n]. The standard
    error is that of `share`, of the slopes and the curvature of the log-likelihood.
    """
    if not added.any():
        return 1.0
    rows = np.arange(len(target))

    def surprises(factor: float) -> np.ndarray:
        chances = log_softmax(straight[:, None] + factor * added, axis=-1)[rows, :, target]
        return np.log(added.shape[1]) - logsumexp(chances, axis=1)

    best = minimize_scalar(lambda factor: surprises(factor).sum(), bounds=(0, 2), method="bounded")
    low, middle, high = (surprises(best.x + step) for step in (-STEP, 0.0, STEP))
    slopes, curvature = (high - low) / (2 * STEP), (high - 2 * middle + low).sum() / STEP**2
    if curvature <= 0:
        return 0.0
    error = np.sqrt(np.square(slopes).sum()) / curvature
    return float(np.clip(best.x - 2 * error, 0.0, 1.0))
