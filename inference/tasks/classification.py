"""Decide for the most probable class."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from training.run import Run
from training.samples import as_bytes

NAME: TaskName = "classification"
OUTPUT_NAMES: str | tuple[str, ...] = "probabilities"
NUM_CLASSES_SHOWN = 3


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return a function from probabilities [n, classes] to the name of the class."""
    labels = tf.constant(run.manifest["labels"], tf.string)
    return lambda output: {"class": tf.gather(labels, tf.argmax(output, -1))}


def decisions_of_training(run: Run) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function to the class of the largest probability, so that ties may fall either way.

    The labels are the stored ones, independent of the labels from which an export is made.
    """
    stored = run.samples.labels
    labels = as_bytes(run.manifest["labels"]) if stored is None else stored
    return lambda numbers: {"class": labels[numbers["probabilities"].argmax(-1)]}


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the class of each input, its probability, and the next two classes."""
    labels = run.manifest["labels"]
    return [_classes(probabilities, labels) for probabilities in outputs["probabilities"]]


def _classes(probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    first, *others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in np.argsort(-probabilities, kind="stable")[:NUM_CLASSES_SHOWN]
    ]
    return {**first, "next": others}
