"""A run as a SavedModel in TensorFlow Serving's layout, with all that a server tells of it."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from serving import about, gate, kinds, replay, warmup
from serving.answers import parts
from training.run import Run, write_json

REQUEST = "sample-request.json"


def write(run: Run, directory: Path) -> dict[str, Any]:
    """Write the artifact and what stands beside it; return its proof.

    Raises ParityError where a fresh process answers differently from training.
    """
    signatures = {
        name: getattr(function, "get_concrete_function", lambda function=function: function)()
        for name, function in kinds.question(run.passport["question"]).signatures(run).items()
    }
    _save(run, directory, signatures)
    samples = kinds.question(run.passport["question"]).samples(run.samples.raw, run)
    told = about.describe(run, signatures, samples)
    write_json(directory / about.NAME, told)
    request = {"signature_name": told["example_signature"], "instances": told["examples"]}
    write_json(directory / REQUEST, request)
    warmup.write(directory, run.passport["app"], samples)
    expected = parts(run.passport["answer"], run.samples.answers)
    arrays: dict[str, Any] = {f"output/{name}": value for name, value in expected.items()}
    return gate.proof(run, "an export", [replay.__file__, str(directory)], arrays | samples)


def _save(run: Run, directory: Path, signatures: dict[str, Any]) -> None:
    module = tf.Module()
    module.model = run.model
    # TensorFlow Serving's loader restores what hangs on the module itself: Keras's own
    # wrappers of variables are restored beside those that the graph reads (keras#20095).
    module.weights = [variable.value for variable in run.model.variables]
    if labels := run.passport["labels"]:
        names = tf.constant(labels)
        module.labels = tf.function(lambda: names, input_signature=[], autograph=False)
        (directory / "labels.txt").write_text("\n".join(labels) + "\n")
    tf.saved_model.save(module, str(directory), signatures)


def curl(app: str, directory: Path) -> str:
    """The command that asks a server on its usual port the sample request."""
    return f"curl -d @{directory / REQUEST} http://127.0.0.1:8501/v1/models/{app}:predict"
