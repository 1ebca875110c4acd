"""Where a network looked: the regions of a picture that speak for a class."""

from typing import Any

import numpy as np
import tensorflow as tf


def heat(network: Any, prepared: Any, classes: np.ndarray) -> np.ndarray | None:
    """How much each place of the last feature map speaks for a class, from 0 to 1.

    Args:
        network: a chain of layers from prepared input to logits.
        prepared: a batch of its input.
        classes: the class asked about, of each example.

    Returns:
        [batch, height, width] of the map; None where the network has no map of
        more than one place, or is no chain.

    References:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.

    """
    layers = network.layers[1:]
    maps = _outputs(layers, prepared)
    if maps is None or not np.allclose(maps[-1], network(prepared, training=False), atol=1e-2):
        return None
    spatial = [k for k, x in enumerate(maps) if len(x.shape) == 4 and min(x.shape[1:3]) > 1]
    if not spatial:
        return None
    features = maps[spatial[-1]]
    with tf.GradientTape() as tape:
        tape.watch(features)
        (*_, logits) = [features, *(_outputs(layers[spatial[-1] + 1 :], features) or [])]
        # What sets the class apart: all logits may rise together.
        chosen = tf.gather(logits, classes, batch_dims=1)
        score = tf.reduce_sum(chosen - tf.reduce_mean(logits, 1))
    # alpha_k: the mean of the gradient over the places of channel k.
    alpha = tf.reduce_mean(tape.gradient(score, features), [1, 2], keepdims=True)
    regions = tf.nn.relu(tf.reduce_sum(tf.cast(alpha * features, tf.float32), -1))
    return (regions / tf.maximum(tf.reduce_max(regions, [1, 2], keepdims=True), 1e-9)).numpy()


def _outputs(layers: list[Any], x: Any) -> list[Any] | None:
    """What each layer of a chain gives; None where they are none."""
    given = []
    for layer in layers:
        try:
            x = layer(x, training=False)
        except (TypeError, ValueError):
            return None
        given.append(x)
    return given
