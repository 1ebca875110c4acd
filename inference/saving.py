"""Write concrete functions of a run's model as a SavedModel."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from pipelines.files import plain_path
from training.run import Run


def concrete_functions(functions: dict[str, Any]) -> dict[str, Any]:
    """Return the concrete functions of TensorFlow functions with an input signature, by name."""
    return {
        name: getattr(function, "get_concrete_function", lambda function=function: function)()
        for name, function in functions.items()
    }


def save(run: Run, directory: Path, signatures: dict[str, Any]) -> None:
    """Write functions of a run's model, with all resources that their graphs read.

    Arguments with a default value, a tensor, become optional inputs of the signature.
    """
    save_models([run.model], directory, signatures, run.manifest["labels"])


def save_models(
    models: Sequence[Any],
    directory: Path,
    signatures: dict[str, Any],
    labels: Sequence[str] = (),
) -> None:
    """Write functions of models, with all resources that their graphs read."""
    module = tf.Module()
    # The module refers to the variables directly. Keras's wrappers of variables would be saved
    # again, and TensorFlow Serving's loader would restore only those (keras#20095).
    module.weights = [variable.value for model in models for variable in model.variables]
    module.captured = [
        variable
        for function in concrete_functions(signatures).values()
        for variable in function.variables
    ]
    module.tables = [table for model in models for table in _tables(model)]
    if labels:
        names = tf.constant(labels)
        module.labels = tf.function(lambda: names, input_signature=[], autograph=False)
        (directory / "labels.txt").write_text("\n".join(labels) + "\n")
    with plain_path(directory) as plain:
        tf.saved_model.save(module, str(plain), signatures)


def _tables(model: Any) -> Iterator[Any]:
    """Yield the lookup tables of all layers, which are not variables."""
    resource = tf.saved_model.experimental.TrackableResource
    for layer in model._flatten_layers():
        yield from (value for value in vars(layer).values() if isinstance(value, resource))
