"""Predictions of a model for many raw examples, batch by batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.batches import inference_batch_size, ordered_batches
from pipelines.examples import Examples


def predict_all(model: Any, examples: Examples) -> np.ndarray:
    """Predict all raw examples: the model's output, [n, ...]."""
    predict, size = compiled(model), inference_batch_size(examples.spec["features"])
    return np.concatenate([predict(raw) for raw, _ in ordered_batches(examples, batch_size=size)])


def compiled(model: Any) -> Callable[[Any], Any]:
    """Compile the model to a tf.function of a batch of raw features."""
    return tf.function(
        lambda raw: model(raw, training=False), reduce_retracing=True, autograph=False
    )
