"""Layers and networks for images that several apps share."""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("athanor")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of [batch, height, width, channels] by TensorFlow's fused kernel.

    Keras uses a dozen operations for the same arithmetic; the fused kernel took about half the
    time, forwards and backwards, on the shapes of this module. Only axis -1, without a mask; when
    synchronised over replicas it is Keras's own layer.

    References:
        Ioffe and Szegedy, Batch Normalization, ICML 2015, algorithms 1 and 2.

    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise over the batch in training, with moving statistics otherwise."""
        unsupported = self.synchronized or inputs.dtype == "float16"
        if not training or not self.trainable or unsupported:
            return super().call(inputs, training=training, mask=mask)
        images = tf.convert_to_tensor(inputs)
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.constant([], tf.float32),
            variance=tf.constant([], tf.float32),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel divides by n - 1; Keras, like the paper in training, by n.
        count = tf.cast(tf.reduce_prod(tf.shape(images)[:-1]), tf.float32)
        variance *= (count - 1) / count
        for moving, current in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + current * (1 - self.momentum))
        return normalized


@keras.saving.register_keras_serializable("athanor")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits and class numbers, with label smoothing.

    The target of the true class is 1 - s (1 - 1/n), of each other class s/n, for n classes. A
    little smoothing lets a network generalise better after few steps.

    Args:
        smoothing: s, in [0, 1].

    References:
        Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.

    """

    def __init__(self, smoothing: float, name: str = "loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Class numbers [batch], logits [batch, n] -> nats [batch]."""
        log_probabilities = tf.nn.log_softmax(y_pred)
        classes = tf.cast(y_true, tf.int32)
        true = tf.gather(log_probabilities, classes, axis=-1, batch_dims=1)
        uniform = tf.reduce_mean(log_probabilities, axis=-1)
        return -(1 - self.smoothing) * true - self.smoothing * uniform

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"smoothing": self.smoothing}


@dataclasses.dataclass(frozen=True)
class Hidden:
    """A hidden layer, its normalisation and ReLU.

    Attributes:
        l2: penalty on the kernel.
        batch_norm: batch normalisation in place of a bias.

    """

    l2: float = 0.0
    batch_norm: bool = True

    def penalty(self) -> Any:
        """Return the kernel regularizer, or None."""
        return keras.regularizers.L2(self.l2) if self.l2 else None

    def dense(self, x: Any, width: int) -> Any:
        """[batch, any] -> [batch, width]."""
        return self._activate(keras.layers.Dense(width, **self._options())(x))

    def convolution(self, x: Any, width: int, kernel: int, stride: int = 1) -> Any:
        """[batch, height, width, any] -> height and width divided by the stride, rounded up."""
        sizes = {"strides": stride, "padding": "same"}
        return self._activate(keras.layers.Conv2D(width, kernel, **sizes, **self._options())(x))

    def _options(self) -> dict[str, Any]:
        return {"use_bias": not self.batch_norm, "kernel_regularizer": self.penalty()}

    def _activate(self, x: Any) -> Any:
        if self.batch_norm:
            # A momentum of 0.9 averages some ten steps: a run may have only a few hundred.
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

    Strides take the place of pooling, which drops three quarters of a convolution's outputs.
    """
    x, side = images, min(images.shape[1:3])
    for stage in range(max(2, math.ceil(math.log2(side / 8)))):
        stride = 2 if side > 8 else 1
        side = -(-side // stride)
        width, kernel = (16, 6) if stage == 0 else (32, 4)
        x = hidden.convolution(x, width, kernel, stride)
    return keras.layers.Flatten()(hidden.convolution(x, 64, 3))


def classifier(images: Any, x: Any, *, num_classes: int, hidden: Hidden, dropout: float) -> Any:
    """Return the model from `images` to logits [batch, num_classes] of features [batch, any]."""
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    # Logits are float32 in every precision: a loss near 0 needs the digits.
    output = keras.layers.Dense(num_classes, kernel_regularizer=hidden.penalty(), dtype="float32")
    return keras.Model(images, output(x))
