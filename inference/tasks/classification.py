"""Decide for the most probable class."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from training.coverage import Sets
from training.run import Run
from training.samples import as_bytes

NAME: TaskName = "classification"
OUTPUT_NAMES: str | tuple[str, ...] = "probabilities"
NUM_CLASSES_SHOWN = 3
SET = "classes"  # output: which classes contain the truth with the coverage of the run


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return a function from probabilities [n, classes] to the name of the class.

    It adds `classes`, bool [n, classes]: the set that contains the true class in a share of the
    cases, if the run has such sets.
    """
    labels, sets = tf.constant(run.manifest["labels"], tf.string), run.coverage

    def decide(output: Any) -> dict[str, Any]:
        found = {"class": tf.gather(labels, tf.argmax(output, -1))}
        if isinstance(sets, Sets):
            found[SET] = _sums_before(output) <= np.float32(sets.threshold)
        return found

    return decide


def _sums_before(probabilities: Any) -> Any:
    """As `training.coverage.sums_before`, in a graph."""
    order = tf.argsort(probabilities, -1, "DESCENDING", stable=True)
    ordered = tf.gather(probabilities, order, batch_dims=1)
    before = tf.cumsum(ordered, -1, exclusive=True)
    return tf.gather(before, tf.argsort(order, -1), batch_dims=1)


def decisions_of_training(run: Run) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function to the class of the largest probability, so that ties may fall either way.

    The labels are the stored ones, independent of the labels from which an export is made.
    """
    stored = run.samples.labels
    labels = as_bytes(run.manifest["labels"]) if stored is None else stored
    sets = run.coverage

    def decide(numbers: dict[str, Any]) -> dict[str, Any]:
        found = {"class": labels[numbers["probabilities"].argmax(-1)]}
        if isinstance(sets, Sets):
            found[SET] = sets.members(numbers["probabilities"])
        return found

    return decide


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the class of each input, its probability, the next two classes, and the set."""
    labels = run.manifest["labels"]
    found = [_classes(probabilities, labels) for probabilities in outputs["probabilities"]]
    for row, members, probabilities in zip(
        found, outputs.get(SET, ()), outputs["probabilities"], strict=False
    ):
        order = np.argsort(-probabilities, kind="stable")
        row[SET] = [labels[k] for k in order[members[order]]]
    return found


def _classes(probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    first, *others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in np.argsort(-probabilities, kind="stable")[:NUM_CLASSES_SHOWN]
    ]
    return {**first, "next": others}
