"""Where a network looked: the regions of a picture that speak for a class."""

from typing import Any

import numpy as np
import tensorflow as tf

# A map whose peak is less than this share of all that is weighed against each other
# is rounding: it stays dark.
LEAST = 0.01


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
    last = last_map(network, prepared)
    return None if last is None else regions(network, last, prepared, classes).numpy()


def last_map(network: Any, prepared: Any) -> int | None:
    """The number of the layer that gives the last map of several places.

    None where there is none, or where the layers, one after the other, are not
    what the network computes. Asks the network: not inside a graph.
    """
    maps = _outputs(network.layers[1:], prepared)
    if maps is None or not np.allclose(maps[-1], network(prepared, training=False), atol=1e-2):
        return None
    spatial = [k for k, x in enumerate(maps, 1) if len(x.shape) == 4 and min(x.shape[1:3]) > 1]
    return spatial[-1] if spatial else None


def regions(network: Any, last: int, prepared: Any, classes: Any) -> Any:
    """As `heat`, as a tensor, of a network whose last map is known; inside a graph or outside."""
    features = prepared
    for layer in network.layers[1 : last + 1]:
        features = layer(features, training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = features
        for layer in network.layers[last + 1 :]:
            logits = layer(logits, training=False)
        # What sets the class apart: all logits may rise together.
        chosen = tf.gather(logits, classes, batch_dims=1)
        score = tf.reduce_sum(chosen - tf.reduce_mean(logits, 1))
    # alpha_k: the mean of the gradient over the places of channel k.
    alpha = tf.reduce_mean(tape.gradient(score, features), [1, 2], keepdims=True)
    weighed = tf.cast(alpha, tf.float32) * tf.cast(features, tf.float32)
    found = tf.nn.relu(tf.reduce_sum(weighed, -1))
    peak = tf.reduce_max(found, [1, 2], keepdims=True)
    all_of_it = tf.reduce_max(tf.reduce_sum(tf.abs(weighed), -1), [1, 2], keepdims=True)
    return found / tf.maximum(tf.maximum(peak, LEAST * all_of_it), 1e-9)


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
