"""Targets that carry the weight of their class, so that mixed examples have the right weight."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def one_hot_targets(num_classes: int, class_weights: np.ndarray | None) -> np.ndarray:
    """Return the target of each class, [classes, classes]: one-hot, times the class's weight."""
    one_hot = np.eye(num_classes, dtype="float32")
    return one_hot if class_weights is None else one_hot * class_weights.astype("float32")


class WeightedTargetLoss(keras.losses.Loss):
    """A loss of distributions over the classes; the sum of each target is the example's weight.

    Mixup and cutmix mix the targets of two examples, and so their weights in the same shares.

    Args:
        loss: the loss of targets that add up to 1.

    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name="weighted")
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Weighted targets [batch, classes], logits [batch, classes] -> nats [batch]."""
        weight = tf.reduce_sum(y_true, axis=-1)
        return weight * self.loss.call(y_true / weight[:, tf.newaxis], y_pred)
