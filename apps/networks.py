"""Layers that applications share; apps import this module when they build."""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("athanor")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of [batch, height, width, channels] by TensorFlow's fused kernel.

    Keras composes the same arithmetic of a dozen operations; fused it took about
    half the time, forwards and backwards, on the shapes of this file. Axis -1, no mask;
    synchronised over replicas Keras's own arithmetic is used.

    References:
        Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithms 1 and 2.

    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise over the batch in training, with moving statistics otherwise."""
        unlike = self.synchronized or inputs.dtype == "float16"
        if not training or not self.trainable or unlike:
            return super().call(inputs, training=training, mask=mask)
        images = tf.convert_to_tensor(inputs)
        normal, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.constant([], tf.float32),
            variance=tf.constant([], tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel divides by n - 1; Keras, as the paper in training, by n.
        count = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
        variance *= (count - 1) / count
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return normal


@keras.saving.register_keras_serializable("athanor")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits against class numbers that are not quite sure.

    The true class counts 1 - s (1 - 1/n), each other s/n, for n classes. A little
    smoothing lets a network generalise better from few steps.

    Args:
        smoothing: s, from 0 to 1.

    References:
        Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.

    """

    def __init__(self, smoothing: float, name: str = "loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], logits [batch, n] -> nats [batch]."""
        logs = tf.nn.log_softmax(y_pred)
        true = tf.gather(logs, tf.cast(y_true, tf.int32), axis=-1, batch_dims=1)
        even = tf.reduce_mean(logs, axis=-1)
        return -(1 - self.smoothing) * true - self.smoothing * even

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"smoothing": self.smoothing}


@dataclasses.dataclass(frozen=True)
class Hidden:
    """A hidden layer, normalised if wanted, and its rectifier.

    Attributes:
        l2: penalty on the kernel.
        batch_norm: normalise over the batch, in place of a bias.

    """

    l2: float = 0.0
    batch_norm: bool = True

    def penalty(self) -> Any:
        """The kernel regularizer, or None."""
        return keras.regularizers.L2(self.l2) if self.l2 else None

    def dense(self, x: Any, width: int) -> Any:
        """[batch, any] -> [batch, width]."""
        return self._finish(keras.layers.Dense(width, **self._options())(x))

    def convolution(self, x: Any, width: int, kernel: int, stride: int = 1) -> Any:
        """[batch, height, width, any] -> both sides divided by the stride, rounded up."""
        sizes = {"strides": stride, "padding": "same"}
        return self._finish(keras.layers.Conv2D(width, kernel, **sizes, **self._options())(x))

    def _options(self) -> dict[str, Any]:
        return {"use_bias": not self.batch_norm, "kernel_regularizer": self.penalty()}

    def _finish(self, x: Any) -> Any:
        if self.batch_norm:
            # Statistics of the last tens of steps: a run may be a few hundred long.
            images = len(x.shape) == 4
            layer = FusedBatchNormalization if images else keras.layers.BatchNormalization
            x = layer(momentum=0.9)(x)
        return keras.layers.ReLU()(x)


def perceptron(images: Any, hidden: Hidden) -> Any:
    """Two hidden layers over all pixels."""
    x = keras.layers.Flatten()(images)
    return hidden.dense(hidden.dense(x, 256), 128)


def convolutions(images: Any, hidden: Hidden) -> Any:
    """Strided convolutions down to a side of at most 8, then one more.

    Strides in place of pooling: no convolution runs over all pixels only for
    three quarters of its answers to be dropped.
    """
    x, side = images, min(images.shape[1:3])
    for stage in range(max(2, math.ceil(math.log2(side / 8)))):
        stride = 2 if side > 8 else 1
        side = -(-side // stride)
        width, kernel = (16, 6) if stage == 0 else (32, 4)
        x = hidden.convolution(x, width, kernel, stride)
    return keras.layers.Flatten()(hidden.convolution(x, 64, 3))


def classifier(images: Any, x: Any, *, num_classes: int, hidden: Hidden, dropout: float) -> Any:
    """The model from `images` by way of `x` [batch, any] to logits [batch, num_classes]."""
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    # Logits in float32 under every precision: a loss near 0 needs the digits.
    output = keras.layers.Dense(num_classes, kernel_regularizer=hidden.penalty(), dtype="float32")
    return keras.Model(images, output(x))
