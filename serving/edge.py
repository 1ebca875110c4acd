"""Files of other runtimes in a version: written, replayed without TensorFlow, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from serving import gate, kinds, litert, onnx, replay_edge
from serving.answers import parts
from serving.portable import Portable, told
from training.run import Run, write_json

# TensorFlow Serving reads saved_model.pb and what belongs to it; other files of a version
# directory it leaves alone.
FILES = {"litert": "model.tflite", "onnx": "model.onnx"}
# Signatures that can be asked of these files, where the SavedModel has them.
CARRIED = ("serving_default", "recommend")


class Written(NamedTuple):
    """A file, and the proof that it answers as in training."""

    path: Path
    size: int
    proof: dict[str, Any]


def write(run: Run, directory: Path, name: str) -> Written:
    """Write a model and its JSON into a version directory.

    Raises RefusedError where the format cannot carry the run, and ParityError where its
    answers differ from those of training.
    """
    portable = kinds.question(run.passport["question"]).portable(run)
    content, outside = WAYS[name](portable, run)
    path = directory / FILES[name]
    path.write_bytes(content)
    write_json(path.with_name(f"{path.name}.json"), {"model": path.name, **outside})
    command = [replay_edge.__file__, name, str(path)]
    return Written(
        path, len(content), gate.proof(run, f"a file for {name}", command, samples_of(run))
    )


def samples_of(run: Run) -> dict[str, Any]:
    """The stored inputs and answers, of the signatures that other formats carry."""
    expected = parts(run.passport["answer"], run.samples.answers)
    samples = kinds.question(run.passport["question"]).samples(run.samples.raw, run)
    kept = {key: value for key, value in samples.items() if key.partition("/")[0] in CARRIED}
    return {f"output/{name}": value for name, value in expected.items()} | kept


def outputs_of(portable: Portable) -> dict[str, Any]:
    """What a model gives, as tensors without content."""
    specs = {spec.name: spec for spec in portable.inputs}
    return (
        tf.function(portable.function, autograph=False)
        .get_concrete_function(**specs)
        .structured_outputs
    )


def _litert(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    outside = told(portable, run.passport, outputs_of(portable))
    return litert.converted(portable), outside


def _onnx(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    carried = onnx.whole(portable)
    labels = list(run.passport["labels"])
    outside = told(carried, run.passport, outputs_of(portable))
    return onnx.converted(portable, labels), outside


WAYS: dict[str, Callable[[Portable, Run], tuple[bytes, dict[str, Any]]]] = {
    "litert": _litert,
    "onnx": _onnx,
}
