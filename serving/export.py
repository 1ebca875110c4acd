"""A run becomes a SavedModel, published only when it answers as in training."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from serving import kinds, replay
from serving.answers import parts
from training.run import Run, write_json

# Largest difference, as a share of the largest answer above 1: float32 sums in
# another order, bfloat16 rounds to 8 bits on the way.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2}


class ParityError(RuntimeError):
    """An export that answers differently from training; it was not published."""

    exit_status = 1


def export(run: Run) -> dict[str, Any]:
    """Write export/N/, TensorFlow Serving's layout, and return its path and proof.

    Signatures are those of the kind of question, such as `serving_default` over
    decoded pixels and `encoded` over the bytes of image files; all give the named
    outputs of the kind of answer, such as `class` and `probabilities`. A fresh
    process replays the inputs that training stored and compares the answers:
    raises ParityError, and publishes nothing, where they differ.
    """
    target = _next_version(run.path / "export")
    beside = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        _save(run, beside)
        parity = _gate(run, beside)
        write_json(beside / "parity.json", parity)
        if not parity["passed"]:
            raise ParityError(
                f"Received an export whose answers differ by {parity['max_abs_diff']} from those "
                f"of training; expected at most {parity['tolerance']}. It was not published; "
                "train again with --precision float32, or report this run."
            )
        beside.chmod(0o755)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return {"export": str(target), "parity": parity}


def _next_version(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    versions = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    return folder / str(max(versions, default=0) + 1)


def _save(run: Run, directory: Path) -> None:
    module = tf.Module()
    # What the graph reads hangs on the module itself. Keras's wrappers of variables would be
    # saved once more, and TensorFlow Serving's loader restore those alone (keras#20095).
    module.weights = [variable.value for variable in run.model.variables]
    module.tables = list(_tables(run.model))
    if labels := run.passport["labels"]:
        names = tf.constant(labels)
        module.labels = tf.function(lambda: names, input_signature=[], autograph=False)
        (directory / "labels.txt").write_text("\n".join(labels) + "\n")
    signatures = kinds.question(run.passport["question"]).signatures(run)
    tf.saved_model.save(module, str(directory), signatures)


def _tables(model: Any) -> Iterator[Any]:
    """The lookup tables of all layers, which are no variables."""
    resource = tf.saved_model.experimental.TrackableResource
    for layer in model._flatten_layers():
        yield from (one for one in vars(layer).values() if isinstance(one, resource))


def _gate(run: Run, directory: Path) -> dict[str, Any]:
    raw, expected = run.samples
    inputs = kinds.question(run.passport["question"]).samples(raw, run)
    outputs = parts(run.passport["answer"], expected)
    arrays: dict[str, Any] = {f"output/{name}": value for name, value in outputs.items()} | inputs
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npz"
        np.savez(samples, **arrays)
        process = subprocess.run(
            [sys.executable, "-I", replay.__file__, str(directory), str(samples)],
            capture_output=True,
            text=True,
            check=False,
        )
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:]
        raise ParityError(
            f"Received an export that a fresh process could not replay ({' '.join(last)}); "
            "expected answers. It was not published."
        )
    differences = json.loads(process.stdout.splitlines()[-1])
    # Prices in dollars have fewer digits behind the point than probabilities.
    scale = max(1.0, float(np.abs(expected).max()))
    tolerance = TOLERANCE[run.passport["precision"]["policy"]] * scale
    numbers = list(differences.values())
    worst = None if None in numbers else max(numbers)
    return {
        "passed": worst is not None and worst <= tolerance,
        "max_abs_diff": worst,
        "tolerance": tolerance,
        "examples": len(expected),
        "signatures": differences,
    }
