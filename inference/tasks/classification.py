"""Decide for the most probable class, or by the decision of the run."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from training.coverage import Sets
from training.decision import UNSURE, Decision
from training.run import Run
from training.samples import as_bytes

NAME: TaskName = "classification"
OUTPUT_NAMES: str | tuple[str, ...] = "probabilities"
NUM_CLASSES_SHOWN = 3
SET = "classes"  # output: which classes contain the truth with the coverage of the run


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return a function from probabilities [n, classes] to the name of the class.

    A decision of the run may choose another class than the most probable one, or UNSURE. The
    function adds `classes`, bool [n, classes]: the set that contains the true class in a share of
    the cases, if the run has such sets.
    """
    names, sets, decision = run.manifest["labels"], run.coverage, run.decision
    labels = tf.constant([*names, UNSURE], tf.string)

    def decide(output: Any) -> dict[str, Any]:
        chosen = tf.argmax(output, -1) if decision is None else _answers(output, decision, names)
        found = {"class": tf.gather(labels, chosen)}
        if isinstance(sets, Sets):
            found[SET] = _sums_before(output) <= np.float32(sets.threshold)
        return found

    return decide


def _answers(probabilities: Any, decision: Decision, labels: list[str]) -> Any:
    """As `Decision.answers`, in a graph."""
    chosen = tf.argmax(probabilities, -1)
    if decision.threshold is not None and decision.positive is not None:
        positive = labels.index(decision.positive)
        reaches = probabilities[:, positive] >= np.float32(decision.threshold)
        chosen = tf.where(reaches, np.int64(positive), np.int64(1 - positive))
    elif decision.costs is not None:
        costs = tf.cast(probabilities, tf.float64) @ np.array(decision.costs, "float64")
        chosen = tf.argmin(costs, -1)
    if decision.abstain is None:
        return chosen
    is_sure = tf.reduce_max(probabilities, -1) >= np.float32(decision.abstain)
    return tf.where(is_sure, chosen, np.int64(len(labels)))


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
    labels = np.concatenate([labels, as_bytes([UNSURE])])
    sets, decision = run.coverage, run.decision or Decision()

    def decide(numbers: dict[str, Any]) -> dict[str, Any]:
        answers = decision.answers(numbers["probabilities"], run.manifest["labels"])
        found = {"class": labels[answers]}
        if isinstance(sets, Sets):
            found[SET] = sets.members(numbers["probabilities"])
        return found

    return decide


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the class of each input, its probability, the next two classes, and the set.

    The probability of UNSURE is that of the most probable class, which is the next one.
    """
    labels, decision = run.manifest["labels"], run.decision or Decision()
    answers = decision.answers(outputs["probabilities"], labels)
    found = [
        _classes(probabilities, answer, labels)
        for probabilities, answer in zip(outputs["probabilities"], answers, strict=True)
    ]
    for row, members, probabilities in zip(
        found, outputs.get(SET, ()), outputs["probabilities"], strict=False
    ):
        order = np.argsort(-probabilities, kind="stable")
        row[SET] = [labels[k] for k in order[members[order]]]
    return found


def _classes(probabilities: np.ndarray, answer: int, labels: list[str]) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")
    others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in order[:NUM_CLASSES_SHOWN]
        if k != answer
    ]
    is_sure = answer < len(labels)
    return {
        "class": labels[answer] if is_sure else UNSURE,
        "probability": float(probabilities[answer if is_sure else order[0]]),
        "next": others[: NUM_CLASSES_SHOWN - 1],
    }
