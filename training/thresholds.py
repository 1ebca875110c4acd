"""The probability from which a text gets a class: chosen after training, stored in run.json."""

from typing import Any

import numpy as np
import tensorflow as tf

from apps.thresholds import choose_thresholds
from pipelines.batches import inference_batch_size, ordered_batches
from pipelines.splits import Splits
from training.build import ModelParts


def fit(splits: Splits, parts: ModelParts) -> dict[str, Any]:
    """Return the field of run.json with a threshold for each class; {} if a row has one class.

    The thresholds are chosen on the validation examples. A layer has chosen them already if a
    part of the network was then fitted to these too.
    """
    if not splits.is_multilabel:
        return {}
    known = (getattr(layer, "thresholds", None) for layer in parts.network.layers)
    thresholds = next((one.numpy() for one in known if one is not None and any(one.numpy())), None)
    if thresholds is None:
        thresholds = choose_thresholds(_probabilities(splits, parts), splits.valid.targets)
    return {"thresholds": [round(float(one), 4) for one in thresholds]}


def _probabilities(splits: Splits, parts: ModelParts) -> np.ndarray:
    """Predict the validation examples, [n, classes]."""
    predict = tf.function(
        lambda features: parts.output_layer(parts.network(features, training=False)),
        reduce_retracing=True,
        autograph=False,
    )
    batches = ordered_batches(
        splits.valid,
        batch_size=inference_batch_size(splits.spec["features"]),
        prepare=parts.preprocessing,
    )
    return np.concatenate([predict(features) for features, _ in batches])
