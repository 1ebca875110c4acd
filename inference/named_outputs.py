"""Names for a model's outputs: tensors for servers, rows for the command line."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import TaskName
from inference import saved_graph
from training.run import Run
from training.samples import as_bytes

NUM_CLASSES_SHOWN = 3

# By task, the name of the output or of each of its columns. The parity check compares them.
OUTPUT_NAMES: dict[TaskName, str | tuple[str, ...]] = {
    "classification": "probabilities",
    "regression": "value",
    "ranking": ("rating", "score"),
}


def named_function(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return the model as a function from raw input to named outputs, for a graph."""
    model, labels = run.model, tf.constant(run.manifest["labels"], tf.string)

    def predict(raw: Any) -> dict[str, Any]:
        output = model(raw, training=False)
        named = name_outputs(run.task, output)
        if run.task != "classification":
            return named
        return {"class": tf.gather(labels, tf.argmax(output, -1)), **named}

    return predict


def name_outputs(task: TaskName, output: Any) -> dict[str, Any]:
    """Split a model's output, [n, ...], into named numbers."""
    names = OUTPUT_NAMES[task]
    if isinstance(names, str):
        return {names: output}
    return {name: output[:, column] for column, name in enumerate(names)}


def training_outputs(run: Run) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return the named outputs that training stored for its samples, and its labels as bytes.

    The labels are the stored ones, independent of the labels from which an export is made.
    """
    outputs = run.samples.answers
    named = name_outputs(run.task, outputs)
    if run.task != "classification":
        return named, None
    stored = run.samples.labels
    labels = as_bytes(run.manifest["labels"]) if stored is None else stored
    return {"class": labels[outputs.argmax(-1)], **named}, labels


def predict_rows(run: Run, signature: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predict inputs of a signature: one dict for each. Raises RequestError."""
    outputs = saved_graph.call(run, signature, inputs)
    if run.task == "classification":
        labels = run.manifest["labels"]
        return [_classes(probabilities, labels) for probabilities in outputs["probabilities"]]
    output_names = OUTPUT_NAMES[run.task]
    columns = (output_names,) if isinstance(output_names, str) else output_names
    values = [outputs[name].tolist() for name in columns]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _classes(probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    first, *others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in np.argsort(-probabilities, kind="stable")[:NUM_CLASSES_SHOWN]
    ]
    return {**first, "next": others}
