"""A model's answers to examples, batch by batch."""

from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.batches import inference_batch_size, ordered_batches
from pipelines.examples import Examples


def ask(model: Any, examples: Examples) -> np.ndarray:
    """What a model gives to raw examples, [n, ...]."""
    answer, size = answering(model), inference_batch_size(examples.spec["features"])
    return np.concatenate([answer(raw) for raw, _ in ordered_batches(examples, batch_size=size)])


def answering(model: Any) -> Any:
    """The model as a function of one batch of raw features."""
    return tf.function(
        lambda raw: model(raw, training=False), reduce_retracing=True, autograph=False
    )
