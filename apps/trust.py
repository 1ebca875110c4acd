"""How much of what a network adds to a linear answer is believed: as much as validation shows."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from apps.feeds import Feeds
from pipelines.feed import feed

BATCH = 1000


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

    The share of the additions that suits them best, by least squares, less two
    standard errors of it. With many examples that is all of the additions; with
    few, when they do not clearly help, it is none, and the linear answer stays.

    Args:
        feeds: of the run.
        mean: of the training targets.
        scale: their deviation.

    """

    def __init__(self, feeds: Feeds, mean: float, scale: float) -> None:
        super().__init__()
        # All of them on every worker, of which `fit` judges its share.
        self.valid = feed(feeds.splits.valid, batch_size=BATCH, prepare=feeds.prepare)
        self.target = (feeds.splits.valid.targets - mean) / scale
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
        given = [self.parts(features) for features, _ in self.valid]
        added = np.concatenate([np.asarray(part)[..., 0].mean(1) for part, _ in given])
        rest = self.target - np.concatenate([np.asarray(part)[:, 0] for _, part in given])
        self.layer.share.assign(share(added.astype("float64"), rest))


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
