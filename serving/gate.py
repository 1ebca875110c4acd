"""The gate: a fresh process replays stored inputs, and what differs is not published."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.run import Run

# Largest difference, as a share of the largest answer above 1: float32 sums in
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
    arrays: dict[str, Any],
    *,
    tolerances: dict[str, float] = TOLERANCE,
) -> dict[str, Any]:
    """How far the answers of a fresh process are from those of training, by signature.

    Raises ParityError where they differ by more than the tolerance, or where the
    process fails.

    Args:
        run: whose answers they have to be.
        what: is replayed, for messages.
        command: of Python, without the file of samples, which is appended.
        arrays: the content of that file, see serving/replay.py.
        tolerances: by number format, as a share of the largest answer above 1.

    """
    differences = replayed(what, command, arrays)
    expected, policy = run.samples.answers, run.passport["precision"]["policy"]
    # Prices in dollars have fewer digits behind the point than probabilities.
    scale = max(1.0, float(np.abs(expected).max()))
    tolerance = tolerances[policy] * scale
    explained = {name: EXPLAINED[name][policy] for name in differences if name in EXPLAINED}
    for name, worst in differences.items():
        most = explained.get(name, tolerance)
        if worst is None or not worst <= most:
            raise ParityError(
                f"Received {what} whose answers differ by {worst} from those "
                f"of training in {name}; expected at most {most}. It was not published; "
                "train again with --precision float32, or report this run."
            )
    found = {
        "passed": True,
        "max_abs_diff": max(worst for name, worst in differences.items() if name not in explained),
        "tolerance": tolerance,
        "examples": len(expected),
        "signatures": differences,
    }
    return found | ({"tolerances": explained} if explained else {})


def replayed(
    what: str, command: Sequence[str], arrays: dict[str, Any], more: Sequence[str] = ()
) -> dict[str, Any]:
    """The JSON object that a fresh process prints, told a file of samples and `more` after it.

    Raises ParityError where it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npz"
        np.savez(samples, **arrays)
        # -I: nothing of ours is on the path.
        process = subprocess.run(
            [sys.executable, "-I", *command, str(samples), *more],
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
    return json.loads(process.stdout.splitlines()[-1])
