"""The gate: a fresh process replays stored inputs, and what differs is not published."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporting.parity import DifferentError, compare
from inference.artifacts import RANKED_LIST_OUTPUTS
from inference.named_outputs import training_outputs
from training.run import Run

# Largest difference of a number, as a share of it where it is above 1: float32 sums in
# another order, bfloat16 rounds to 8 bits on the way.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 2e-2}
# Kernels of another runtime fuse and order otherwise: MobileNetV2 on photos differed by 6e-6.
ELSEWHERE = {**TOLERANCE, "float32": 1e-4}

# An explanation is divided by its own peak, which may be small: rounding grows with it.
EXPLAINED = {"explain": {"float32": 1e-2, "mixed_bfloat16": 1e-1}}


class ParityError(RuntimeError):
    """An export that answers differently from training; it was not published."""

    exit_status = 1


def proof(
    run: Run,
    what: str,
    command: Sequence[str],
    samples: dict[str, Any],
    *,
    tolerances: dict[str, float] = TOLERANCE,
) -> dict[str, Any]:
    """How far the answers of a fresh process are from those of training, by signature.

    Every output is compared: numbers, classes, lists, pictures. Raises ParityError where one
    differs by more than the tolerance, or where the process fails.

    Args:
        run: whose answers they have to be.
        what: is replayed, for messages.
        command: of Python, without the files of samples and of answers, which are appended.
        samples: inputs by `SIGNATURE/input/NAME`, see exporting/replay.py; and by
            `SIGNATURE/output/NAME` what training answers where that is not `run.samples.answers`.
        tolerances: by number format, as a share of each number above 1.

    """
    inputs = {key: value for key, value in samples.items() if "/input/" in key}
    given, _ = replayed(what, command, inputs)
    usual, labels = training_outputs(run)
    policy = run.manifest["precision"]["policy"]
    found, names = {}, {}
    for name in sorted({key.partition("/")[0] for key in inputs}):
        expected = under(samples, f"{name}/output/") or usual
        answered = under(given, f"{name}/")
        tolerance = EXPLAINED.get(name, tolerances)[policy]
        try:
            _require_length(answered, inputs.get(f"{name}/input/k"), expected)
            found[name] = compare(answered, expected, tolerance, labels)
        except DifferentError as error:
            raise ParityError(
                f"Received {what} whose answers differ from those of training in {name}: {error}. "
                "It was not published; train again with --precision float32, or report this run."
            ) from error
        names[name] = sorted(expected)
    worst = max(
        (one for name, one in found.items() if name not in EXPLAINED), key=lambda o: o.share
    )
    explained = {name: one.tolerance for name, one in found.items() if name in EXPLAINED}
    told = {
        "passed": True,
        "max_abs_diff": worst.value,
        "tolerance": worst.tolerance,
        "examples": len(run.samples.answers),
        "signatures": {name: one.value for name, one in found.items()},
        "compared": names,
    }
    return told | ({"tolerances": explained} if explained else {})


def _require_length(given: dict[str, np.ndarray], k: Any, expected: dict[str, np.ndarray]) -> None:
    """Raise DifferentError unless lists are as long as they were asked to be."""
    if given.keys() != RANKED_LIST_OUTPUTS:
        return
    wanted = min(int(k), expected["scores"].shape[1])
    if given["scores"].shape[1:] != (wanted,):
        raise DifferentError(f"lists hold {given['scores'].shape[1:]} items, in training {wanted}")


def under(arrays: dict[str, Any], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, without that; texts as bytes."""
    return {
        key.removeprefix(prefix): np.asarray(value)
        for key, value in arrays.items()
        if key.startswith(prefix)
    }


def replayed(
    what: str, command: Sequence[str], inputs: dict[str, Any], more: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a fresh process answers, by `SIGNATURE/NAME`, and the JSON object that it prints.

    It is told the files of samples and of answers, and `more` after them. Raises ParityError
    where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples, answers = Path(folder) / "samples.npz", Path(folder) / "answers.npz"
        np.savez(samples, **inputs)
        # -I: nothing of ours is on the path.
        process = subprocess.run(
            [sys.executable, "-I", *command, str(samples), str(answers), *more],
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            last = process.stderr.strip().splitlines()[-1:]
            raise ParityError(
                f"Received {what} that a fresh process could not replay ({' '.join(last)}); "
                "expected answers. It was not published."
            )
        return (
            dict(np.load(answers, allow_pickle=False)),
            json.loads(process.stdout.splitlines()[-1]),
        )
