"""What a model gives, by name: for the server as tensors, for people as rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from inference import saved_graph
from training.run import Run
from training.samples import as_bytes

NUM_GUESSES = 3


def named(run: Run) -> Callable[[Any], dict[str, Any]]:
    """The function from raw input, inside a graph, to named outputs."""
    model, task = run.model, run.task
    labels = tf.constant(run.manifest["labels"], tf.string)

    def answer(raw: Any) -> dict[str, Any]:
        output = model(raw, training=False)
        if task != "classification":
            return parts(task, output)
        return {"class": tf.gather(labels, tf.argmax(output, -1)), **parts(task, output)}

    return answer


# The outputs of numbers that the gate compares, by task: all, or a column each.
OUTPUTS = {"classification": "probabilities", "regression": "value", "ranking": ("rating", "score")}


def parts(task: str, output: Any) -> dict[str, Any]:
    """The numbers that a model gave, [n, ...], by their names."""
    names = OUTPUTS[task]
    if isinstance(names, str):
        return {names: output}
    return {name: output[:, column] for column, name in enumerate(names)}


def expected_of(run: Run) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """What training answered to its samples, by the names of an export; and its classes, as bytes.

    The classes are those that training stored beside the answers, not those that the export is
    made from.
    """
    task, answers = run.task, run.samples.answers
    expected = parts(task, answers)
    if task != "classification":
        return expected, None
    stored = run.samples.labels
    labels = as_bytes(run.manifest["labels"]) if stored is None else stored
    return {"class": labels[answers.argmax(-1)], **expected}, labels


def rows(run: Run, signature: str, arrays: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answers to inputs of a signature, one for each. Raises RequestError."""
    given = saved_graph.ask(run, signature, arrays)
    if run.task == "classification":
        labels = run.manifest["labels"]
        return [_guesses(probabilities, labels) for probabilities in given["probabilities"]]
    one = OUTPUTS[run.task]
    names = (one,) if isinstance(one, str) else one
    columns = [given[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _guesses(probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    first, *others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in np.argsort(-probabilities, kind="stable")[:NUM_GUESSES]
    ]
    return {**first, "next": others}
