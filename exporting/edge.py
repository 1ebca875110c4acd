"""Files of other runtimes in a version: written, replayed without TensorFlow, or refused."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from exporting import litert, onnx, parity_check, replay_edge
from inference.modalities import modality_of
from inference.portable import Portable, sidecar
from pipelines.files import atomic_write
from training.run import Run

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


def write(
    run: Run, directory: Path, portable: Portable, name: str, *, signatures: Iterable[str] = ()
) -> Written:
    """Write a model and its JSON into a version directory.

    `signatures` are those of the SavedModel: what is not carried is named. Raises
    RefusedError where the format cannot carry the run, and ParityError where its
    answers differ from those of training.
    """
    content, outside = WAYS[name](portable, run)
    path = directory / FILES[name]
    path.write_bytes(content)
    write_beside(path, outside | {"left_out": _left_out(portable, signatures)})
    command = [replay_edge.__file__, name, str(path)]
    proof = parity_check.proof(
        run,
        f"a file for {name}",
        command,
        samples_of(run, portable),
        tolerances=parity_check.ELSEWHERE,
    )
    return Written(path, len(content), proof)


def _left_out(portable: Portable, signatures: Iterable[str]) -> dict[str, str]:
    missing = [name for name in signatures if name not in CARRIED]
    return {name: portable.left_out.get(name, "in the SavedModel alone") for name in missing}


def write_beside(model: Path, outside: dict[str, Any]) -> None:
    """Write the JSON of a model, a line for each part of it: tables may be long."""
    parts = [
        f"{json.dumps(k)}: {json.dumps(v)}" for k, v in {"model": model.name, **outside}.items()
    ]
    with atomic_write(model.with_name(f"{model.name}.json")) as beside:
        beside.write_text("{\n  " + ",\n  ".join(parts) + "\n}\n")


def read_beside(model: Path) -> dict[str, Any]:
    """The JSON of a model."""
    return json.loads(model.with_name(f"{model.name}.json").read_text())


def samples_of(run: Run, portable: Portable) -> dict[str, Any]:
    """The stored inputs, and answers, of the signatures that other formats carry."""
    whole_lists = portable.lists is not None and portable.lists.met is not None
    carried = CARRIED if whole_lists else CARRIED[:1]
    samples = modality_of(run).sample_inputs(run.samples.raw, run)
    return {key: value for key, value in samples.items() if key.partition("/")[0] in carried}


def outputs_of(portable: Portable) -> dict[str, Any]:
    """What a model gives, as tensors without content."""
    specs = {spec.name: spec for spec in portable.inputs}
    return (
        tf.function(portable.function, autograph=False)
        .get_concrete_function(**specs)
        .structured_outputs
    )


def _litert(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    outside = sidecar(portable, run.manifest, outputs_of(portable))
    return litert.converted(portable), outside


def _onnx(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    carried = onnx.whole(portable)
    labels = list(run.manifest["labels"])
    outside = sidecar(carried, run.manifest, outputs_of(portable))
    return onnx.converted(portable, labels), outside


WAYS: dict[str, Callable[[Portable, Run], tuple[bytes, dict[str, Any]]]] = {
    "litert": _litert,
    "onnx": _onnx,
}
