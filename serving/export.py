"""A run becomes a SavedModel, published only when it answers as in training."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.images import FitImage
from serving import images, replay
from training.run import Run, write_json

# Largest difference of a probability: float32 sums in another order, bfloat16
# rounds to 8 bits on the way.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2}


class ParityError(RuntimeError):
    """An export that answers differently from training; it was not published."""

    exit_status = 1


def export(run: Run) -> dict[str, Any]:
    """Write export/N/, TensorFlow Serving's layout, and return its path and proof.

    Signatures: `serving_default` over decoded pixels, `encoded` over the bytes
    of image files; both give `class` (a name), and `probabilities`. A fresh
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
    model, names = run.model, tf.constant(run.passport["labels"])

    def answer(raw: Any) -> dict[str, Any]:
        probabilities = model(raw, training=False)
        return {
            "class": tf.gather(names, tf.argmax(probabilities, -1)),
            "probabilities": probabilities,
        }

    module = tf.Module()
    module.model = model
    module.labels = tf.function(lambda: names, input_signature=[], autograph=False)
    tf.saved_model.save(
        module, str(directory), images.signatures(answer, FitImage(**run.passport["reading"]))
    )
    (directory / "labels.txt").write_text("\n".join(run.passport["labels"]) + "\n")


def _gate(run: Run, directory: Path) -> dict[str, Any]:
    stored = run.samples
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npz"
        arrays: dict[str, Any] = images.samples(stored["raw"])
        np.savez(samples, answers=stored["answers"], **arrays)
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
    tolerance = TOLERANCE[run.passport["precision"]["policy"]]
    numbers = list(differences.values())
    worst = None if None in numbers else max(numbers)
    return {
        "passed": worst is not None and worst <= tolerance,
        "max_abs_diff": worst,
        "tolerance": tolerance,
        "examples": len(stored["raw"]),
        "signatures": differences,
    }
