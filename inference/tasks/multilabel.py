"""Decide for every class whose probability reaches its threshold."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from training.run import Run

NAME: TaskName = "multilabel"
OUTPUT_NAMES: str | tuple[str, ...] = "probabilities"
NUM_OTHERS_SHOWN = 2  # of the classes that are not chosen


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return a function from probabilities to `selected`, bool [n, classes]."""
    lowest = tf.constant(run.thresholds)
    return lambda output: {"selected": output >= lowest}


def decisions_of_training(run: Run) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function to `selected`, by the thresholds that training stored with its samples."""
    lowest = run.samples.thresholds
    lowest = run.thresholds if lowest is None else lowest
    return lambda numbers: {"selected": numbers["probabilities"] >= lowest}


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the chosen classes of each input, the most probable first, and two of the others."""
    labels = run.manifest["labels"]
    pairs = zip(outputs["probabilities"], outputs["selected"], strict=True)
    return [_classes(probabilities, selected, labels) for probabilities, selected in pairs]


def _classes(probabilities: np.ndarray, selected: np.ndarray, labels: list[str]) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")
    others = order[~selected[order]][:NUM_OTHERS_SHOWN]
    chosen, following = (
        [{"class": labels[k], "probability": float(probabilities[k])} for k in part]
        for part in (order[selected[order]], others)
    )
    return {"classes": chosen, "next": following}
