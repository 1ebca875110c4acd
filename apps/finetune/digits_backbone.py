"""A small network that is trained on the embedded digits 0 to 4 in seconds.

They are real handwriting from scikit-learn; nothing is downloaded, and the digits 5 to 9, the
embedded data of the app, are not used.
"""

import concurrent.futures
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.networks import FusedBatchNormalization

DIGITS = "digits"  # its name among the backbones


def network(side: int) -> Any:
    """Return the untrained network for images of `side` pixels, always with the same weights."""
    images = keras.Input((side, side, 3))
    x = images
    for number, (width, stride) in enumerate(((32, 1), (64, 2), (96, 1))):
        x = keras.layers.Conv2D(
            width,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=number),
        )(x)
        x = FusedBatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    return keras.Model(images, x, name=DIGITS)


@functools.cache
def pretrained_weights(side: int) -> list[np.ndarray]:
    """Return the weights after training on the digits 0 to 4, for images of `side` pixels.

    In a strategy's scope too they are trained on one device: replicas would have statistics of
    their own.
    """
    if not tf.distribute.has_strategy():
        return _train_on_digits(side)
    policy = keras.config.dtype_policy()

    def train() -> list[np.ndarray]:
        keras.config.set_dtype_policy(policy)
        return _train_on_digits(side)

    # A scope applies to its thread alone.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(train).result()


def _train_on_digits(side: int, epochs: int = 10, batch: int = 50) -> list[np.ndarray]:
    from pipelines import embedded
    from pipelines.images import photos

    source = embedded.low_digits(photos.FitPhoto((side, side, 3)))
    pixels, target = source.train.numpy()
    backbone = network(side)
    x = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dense(5, kernel_initializer=keras.initializers.GlorotUniform(seed=9))(x)
    model = keras.Model(backbone.input, x)
    steps = epochs * (len(target) // batch)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    order = np.concatenate(
        [np.random.default_rng(epoch).permutation(len(target)) for epoch in range(epochs)]
    )
    model.fit(
        (pixels[order] / 127.5 - 1).astype("float32"),
        target[order],
        batch_size=batch,
        shuffle=False,
        verbose=0,
    )
    return backbone.get_weights()
