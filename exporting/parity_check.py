"""The parity check: a fresh process must reproduce the outputs of training."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from exporting.parity import OutputsDifferError, compare
from inference.artifacts import RANKED_LIST_OUTPUTS
from inference.named_outputs import training_outputs
from training.run import Run

# The largest difference by precision, relative to numbers above 1. In float32 the order of sums
# differs; bfloat16 rounds intermediate results to 8 bits.
TOLERANCES = {"float32": 1e-5, "mixed_bfloat16": 2e-2}
# Other runtimes fuse and order operations differently: MobileNetV2 on photos differed by 6e-6.
OTHER_RUNTIME_TOLERANCES = {**TOLERANCES, "float32": 1e-4}
# By signature: a heat map is divided by its peak, and a small peak magnifies rounding errors.
EXPLANATION_TOLERANCES = {"explain": {"float32": 1e-2, "mixed_bfloat16": 1e-1}}


class ParityResult(TypedDict):
    """The result of a parity check, as in parity.json; explanations have their own tolerances."""

    passed: bool
    max_abs_diff: float
    tolerance: float
    examples: int
    signatures: dict[str, float]
    compared: dict[str, list[str]]
    tolerances: NotRequired[dict[str, float]]


class ParityError(RuntimeError):
    """The outputs of an export differ from those of training; it was not published."""

    exit_status = 1


def check_parity(
    run: Run,
    what: str,
    command: Sequence[str],
    samples: dict[str, Any],
    *,
    tolerances: dict[str, float] = TOLERANCES,
) -> ParityResult:
    """Compare the outputs of a fresh process with those of training, by signature.

    Every output is compared: numbers, classes, lists, heat maps. Raises ParityError if one differs
    by more than the tolerance, or if the process fails.

    Args:
        run: has the expected outputs.
        what: the name of the export in messages.
        command: arguments of Python; the paths of samples and outputs are appended.
        samples: inputs by `SIGNATURE/input/NAME`, see exporting/replay.py; and expected outputs by
            `SIGNATURE/output/NAME` if they are not `run.samples.answers`.
        tolerances: by precision, relative to numbers above 1.

    """
    inputs = {key: value for key, value in samples.items() if "/input/" in key}
    given, _ = replay_in_process(what, command, inputs)
    run_outputs, decide = training_outputs(run)
    policy = run.manifest["precision"]["policy"]
    differences, names = {}, {}
    for name in sorted({key.partition("/")[0] for key in inputs}):
        expected = arrays_under(samples, f"{name}/output/") or run_outputs
        outputs = arrays_under(given, f"{name}/")
        tolerance = EXPLANATION_TOLERANCES.get(name, tolerances)[policy]
        try:
            _require_length(outputs, inputs.get(f"{name}/input/k"), expected)
            differences[name] = compare(outputs, expected, tolerance, decide)
        except OutputsDifferError as error:
            raise ParityError(
                f"Received {what} whose outputs differ from those of training in {name}: {error}. "
                "It was not published; train again with --precision float32, or report this run."
            ) from error
        names[name] = sorted(outputs)
    worst = max(
        (one for name, one in differences.items() if name not in EXPLANATION_TOLERANCES),
        key=lambda difference: difference.used_share,
    )
    tolerances_of_explanations = {
        name: one.tolerance for name, one in differences.items() if name in EXPLANATION_TOLERANCES
    }
    result: ParityResult = {
        "passed": True,
        "max_abs_diff": worst.value,
        "tolerance": worst.tolerance,
        "examples": len(run.samples.answers),
        "signatures": {name: one.value for name, one in differences.items()},
        "compared": names,
    }
    if tolerances_of_explanations:
        result["tolerances"] = tolerances_of_explanations
    return result


def _require_length(given: dict[str, np.ndarray], k: Any, expected: dict[str, np.ndarray]) -> None:
    """Raise OutputsDifferError unless lists have the requested length."""
    if not given.keys() >= RANKED_LIST_OUTPUTS:
        return
    length = min(int(k), expected["scores"].shape[1])
    if given["scores"].shape[1:] != (length,):
        raise OutputsDifferError(
            f"lists hold {given['scores'].shape[1:]} items, in training {length}"
        )


def arrays_under(arrays: dict[str, Any], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays under a prefix, by their names without it."""
    return {
        key.removeprefix(prefix): np.asarray(value)
        for key, value in arrays.items()
        if key.startswith(prefix)
    }


def replay_in_process(
    what: str, command: Sequence[str], inputs: dict[str, Any], more: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the outputs of a fresh process by `SIGNATURE/NAME`, and the JSON that it prints.

    Its arguments are `command`, the paths of samples and outputs, and `more`. Raises ParityError
    if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples, outputs = Path(folder) / "samples.npz", Path(folder) / "outputs.npz"
        np.savez(samples, **inputs)
        # With -I the process cannot import athanor.
        process = subprocess.run(
            [sys.executable, "-I", *command, str(samples), str(outputs), *more],
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            last = process.stderr.strip().splitlines()[-1:]
            raise ParityError(
                f"Received {what} that a fresh process could not replay ({' '.join(last)}); "
                "expected its outputs. It was not published."
            )
        return (
            dict(np.load(outputs, allow_pickle=False)),
            json.loads(process.stdout.splitlines()[-1]),
        )
