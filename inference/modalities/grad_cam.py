"""Grad-CAM: the regions of an image that raise the logit of a class."""

from typing import Any

import numpy as np
import tensorflow as tf

# A smaller peak, as a share of the sum of absolute weighted features, is a rounding error.
MIN_PEAK_SHARE = 0.01


def heat(network: Any, prepared: Any, classes: np.ndarray) -> np.ndarray | None:
    """Return the heat map of a class over the last feature map, from 0 to 1.

    Args:
        network: a chain of layers from preprocessed images to logits.
        prepared: a batch of preprocessed images.
        classes: the class to explain, for each image.

    Returns:
        Maps [batch, height, width]; None if the network has no feature map of more than one
        pixel, or is not a chain.

    References:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.

    """
    last = last_feature_map(network, prepared)
    return None if last is None else heat_maps(network, last, prepared, classes).numpy()


def last_feature_map(network: Any, prepared: Any) -> int | None:
    """Return the index of the layer with the last feature map of more than one pixel.

    None if there is none, or if the network is not a chain of its layers. It runs the network, so
    call it outside of graphs.
    """
    maps = _outputs(network.layers[1:], prepared)
    if maps is None or not np.allclose(maps[-1], network(prepared, training=False), atol=1e-2):
        return None
    spatial = [k for k, x in enumerate(maps, 1) if len(x.shape) == 4 and min(x.shape[1:3]) > 1]
    return spatial[-1] if spatial else None


def heat_maps(network: Any, last: int, prepared: Any, classes: Any) -> Any:
    """Return what `heat` returns, as a tensor, inside a graph or outside."""
    features = prepared
    for layer in network.layers[1 : last + 1]:
        features = layer(features, training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = features
        for layer in network.layers[last + 1 :]:
            logits = layer(logits, training=False)
        # Relative to the mean: all logits may rise together.
        chosen = tf.gather(logits, classes, batch_dims=1)
        score = tf.reduce_sum(chosen - tf.reduce_mean(logits, 1))
    # alpha_k: the mean of the gradient over the positions of channel k.
    alpha = tf.reduce_mean(tape.gradient(score, features), [1, 2], keepdims=True)
    weighted = tf.cast(alpha, tf.float32) * tf.cast(features, tf.float32)
    maps = tf.nn.relu(tf.reduce_sum(weighted, -1))
    peak = tf.reduce_max(maps, [1, 2], keepdims=True)
    total = tf.reduce_max(tf.reduce_sum(tf.abs(weighted), -1), [1, 2], keepdims=True)
    return maps / tf.maximum(tf.maximum(peak, MIN_PEAK_SHARE * total), 1e-9)


def _outputs(layers: list[Any], x: Any) -> list[Any] | None:
    """Return the output of each layer of a chain; None if the layers are not a chain."""
    outputs = []
    for layer in layers:
        try:
            x = layer(x, training=False)
        except (TypeError, ValueError):
            return None
        outputs.append(x)
    return outputs
