"""After training: calibrate probabilities, choose thresholds and intervals by held-out examples."""

from typing import Any

import numpy as np

from apps.calibration import best_temperature
from apps.fit_data import HeldOut
from apps.temperature import logits_of
from apps.thresholds import choose_thresholds
from pipelines.splits import Splits
from training import held_out
from training.build import ModelParts
from training.coverage import Coverage, fit_intervals, fit_sets
from training.held_out import HeldOutPredictions


def calibrate(splits: Splits, parts: ModelParts, kept: HeldOut | None) -> HeldOutPredictions:
    """Set the temperature of a trained model; return its predictions for held-out examples.

    Args:
        splits: the data of the run.
        parts: with the weights that are saved.
        kept: outputs for validation examples, if a part of the network was then fitted to these.

    """
    found = held_out.predict(splits, parts, kept)
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
        content["temperature"] = float(parts.temperature.temperature)
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
