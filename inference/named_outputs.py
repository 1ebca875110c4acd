"""Names for a model's outputs: tensors for servers, rows for the command line."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from apps.app import TaskName
from inference import saved_graph
from inference.tasks import Outputs, task_named
from training.run import Run


def named_function(run: Run) -> Callable[[Any], Outputs]:
    """Return the model as a function from raw input to named outputs, for a graph."""
    model, decide = run.model, task_named(run.task).decisions_in_graph(run)

    def predict(raw: Any) -> Outputs:
        output = model(raw, training=False)
        return decide(output) | name_outputs(run.task, output)

    return predict


def name_outputs(task: TaskName, output: Any) -> Outputs:
    """Split a model's output, [n, ...], into named numbers."""
    names = task_named(task).OUTPUT_NAMES
    if isinstance(names, str):
        return {names: output}
    # The last names are of outputs that only some models have.
    return {name: output[:, column] for column, name in enumerate(names[: output.shape[-1]])}


def training_outputs(run: Run) -> tuple[dict[str, np.ndarray], Callable[[Outputs], Outputs]]:
    """Return the named outputs of training for its samples, and the function that decides by them.

    The function derives outputs such as `class` from an export's own numbers.
    """
    named = name_outputs(run.task, run.samples.answers)
    decide = task_named(run.task).decisions_of_training(run)
    return decide(named) | named, decide


def predict_rows(run: Run, signature: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predict inputs of a signature: one dict for each. Raises RequestError."""
    return task_named(run.task).rows(run, saved_graph.call(run, signature, inputs))
