"""After training: calibrate probabilities, choose thresholds and intervals by held-out examples."""

from typing import Any

import numpy as np
import tensorflow as tf

from apps.calibration import best_temperature, logits_of
from apps.fit_data import HeldOut
from apps.thresholds import choose_thresholds
from pipelines.batches import inference_batch_size, ordered_batches
from pipelines.examples import Examples
from pipelines.splits import Splits
from training.build import ModelParts
from training.coverage import Coverage, fit_intervals, fit_sets
from training.held_out import HeldOutPredictions

MAX_EXAMPLES = 20_000  # more would hardly change a decision
MAX_VALUES = 4_000_000  # predicted numbers


def calibrate(splits: Splits, parts: ModelParts, kept: HeldOut | None) -> HeldOutPredictions:
    """Set the temperature of a trained model; return its predictions for held-out examples.

    Args:
        splits: the data of the run.
        parts: with the weights that are saved.
        kept: outputs for validation examples, if a part of the network was then fitted to these.

    """
    found = _predict_held_out(splits, parts, kept)
    if parts.temperature is None:
        return found
    logits = logits_of(found.predictions, several=splits.is_multilabel)
    parts.temperature.assign(best_temperature(logits, found.targets, found.weights))
    return found._replace(predictions=np.asarray(parts.temperature(found.predictions)))


def decisions(
    splits: Splits, parts: ModelParts, found: HeldOutPredictions, level: float
) -> dict[str, Any]:
    """Return the fields of run.json by which the model's numbers become answers.

    `thresholds` are the probabilities from which an example has each class, if it may have
    several; `coverage` makes intervals of numbers and sets of classes. `temperature` is that of
    the model.
    """
    content: dict[str, Any] = {}
    if parts.temperature is not None:
        content["temperature"] = float(parts.temperature.get_weights()[0])  # of any replica
    if splits.is_multilabel:
        thresholds = choose_thresholds(found.predictions, found.targets)
        return content | {"thresholds": [round(float(one), 4) for one in thresholds]}
    return content | {"coverage": fit_coverage(found, level, bool(splits.labels))}


def fit_coverage(
    found: HeldOutPredictions, level: float, has_classes: bool
) -> dict[str, Any] | None:
    """Return `coverage` of run.json; None if the examples are too few."""
    coverage: Coverage | None
    if has_classes:
        coverage = fit_sets(found.predictions, found.targets, level)
    elif len(np.unique(found.targets)) < 2:  # interactions without ratings
        return None
    else:
        coverage = fit_intervals(*found.values_and_guides, found.targets, level)
    return None if coverage is None else coverage._asdict()


def _predict_held_out(
    splits: Splits, parts: ModelParts, kept: HeldOut | None
) -> HeldOutPredictions:
    """Predict validation examples, from the outputs that a fit kept or with the trained network."""
    most = MAX_EXAMPLES
    if splits.labels:
        most = max(1, min(most, MAX_VALUES // len(splits.labels)))
    if kept is None:
        examples = splits.valid.sample(most)
        predictions = _predict(examples, parts)
    else:
        # The same places as of the examples.
        places = np.arange(len(kept.examples))[:: -(-len(kept.examples) // most)]
        examples = kept.examples.select(places)
        predictions = parts.finish(tf.constant(kept.outputs[places], tf.float32)).numpy()
    return HeldOutPredictions(predictions, examples.targets, examples.weights)


def _predict(examples: Examples, parts: ModelParts) -> np.ndarray:
    predict_batch = tf.function(
        lambda features: parts.finish(parts.network(features, training=False)),
        reduce_retracing=True,
        autograph=False,
    )
    batches = ordered_batches(
        examples,
        batch_size=inference_batch_size(examples.spec["features"]),
        prepare=parts.preprocessing,
    )
    return np.concatenate([predict_batch(features) for features, _ in batches])
