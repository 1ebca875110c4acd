"""Write LiteRT and ONNX files into an exported version's directory, and check their parity."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from exporting import litert, onnx, replay_edge
from exporting.parity_check import OTHER_RUNTIME_TOLERANCES, ParityResult, check_parity
from inference.modalities import modality_of
from inference.portable import Portable, sidecar
from pipelines.files import atomic_write
from training.run import Run

# TensorFlow Serving ignores these files beside the SavedModel in a version directory.
FILE_NAMES = {"litert": "model.tflite", "onnx": "model.onnx"}
# Signatures of the SavedModel that these files support.
PORTABLE_SIGNATURES = ("serving_default", "recommend")


class WrittenFile(NamedTuple):
    """A written file and the result of its parity check."""

    path: Path
    size: int
    parity: ParityResult


def write(
    run: Run, directory: Path, portable: Portable, name: str, *, signatures: Iterable[str] = ()
) -> WrittenFile:
    """Write a model file and its JSON sidecar into a version directory.

    `name` is the format. `signatures` are those of the SavedModel; the sidecar names those that
    the file lacks. Raises RefusedError if the format cannot represent the model, and ParityError
    if the file's outputs differ from those of training.
    """
    content, spec = CONVERTERS[name](portable, run)
    path = directory / FILE_NAMES[name]
    path.write_bytes(content)
    write_spec(path, spec | {"left_out": _left_out(portable, signatures)})
    command = [replay_edge.__file__, name, str(path)]
    parity = check_parity(
        run,
        f"a file for {name}",
        command,
        samples_of(run, portable),
        tolerances=OTHER_RUNTIME_TOLERANCES,
    )
    return WrittenFile(path, len(content), parity)


def _left_out(portable: Portable, signatures: Iterable[str]) -> dict[str, str]:
    """Return why the file lacks signatures of the SavedModel, by signature."""
    missing = [name for name in signatures if name not in PORTABLE_SIGNATURES]
    return {name: portable.left_out.get(name, "only in the SavedModel") for name in missing}


def write_spec(model: Path, spec: dict[str, Any]) -> None:
    """Write the JSON sidecar of a model file, with one line a key, since tables may be long."""
    parts = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in {"model": model.name, **spec}.items()]
    with atomic_write(model.with_name(f"{model.name}.json")) as path:
        path.write_text("{\n  " + ",\n  ".join(parts) + "\n}\n")


def read_spec(model: Path) -> dict[str, Any]:
    """Read the JSON sidecar of a model file."""
    return json.loads(model.with_name(f"{model.name}.json").read_text())


def samples_of(run: Run, portable: Portable) -> dict[str, Any]:
    """Return the run's stored inputs and outputs of the signatures that LiteRT and ONNX support."""
    # Without the users' interactions the replay cannot exclude seen items, as `recommend` does.
    can_recommend = portable.lists is not None and portable.lists.interactions is not None
    supported = PORTABLE_SIGNATURES if can_recommend else PORTABLE_SIGNATURES[:1]
    samples = modality_of(run).sample_inputs(run.samples.raw, run)
    return {key: value for key, value in samples.items() if key.partition("/")[0] in supported}


def outputs_of(portable: Portable) -> dict[str, Any]:
    """Return the specs of a model's outputs, by name."""
    specs = {spec.name: spec for spec in portable.inputs}
    return (
        tf.function(portable.function, autograph=False)
        .get_concrete_function(**specs)
        .structured_outputs
    )


def _litert(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    spec = sidecar(portable, run.manifest, outputs_of(portable))
    return litert.convert(portable), spec


def _onnx(portable: Portable, run: Run) -> tuple[bytes, dict[str, Any]]:
    # An ONNX file maps texts to codes itself, so that the sidecar needs no tables.
    without_tables = onnx.without_tables(portable)
    # With a decision the program chooses the class, as the sidecar says.
    labels = [] if run.decision else list(run.manifest["labels"])
    spec = sidecar(without_tables, run.manifest, outputs_of(portable))
    return onnx.convert(portable, labels), spec


CONVERTERS: dict[str, Callable[[Portable, Run], tuple[bytes, dict[str, Any]]]] = {
    "litert": _litert,
    "onnx": _onnx,
}
