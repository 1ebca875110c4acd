"""Read scores.json, the scores of a run, without TensorFlow."""

import json
from typing import Any

from training.run import SCORES, Run, RunError


def read(run: Run) -> dict[str, Any]:
    """Return the content of scores.json. Raises RunError if the run has not been evaluated."""
    path = run.path / SCORES
    try:
        scores = json.loads(path.read_text())
        for name, value in scores["test"].items():
            low, high = scores["intervals"][name]
            if not all(isinstance(one, int | float) for one in (value, low, high)):
                raise ValueError(f"{name} is no number")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RunError(
            f"Received the run {run.path}, which has no readable scores.json; expected an "
            f"evaluated run. Evaluate it: athanor {run.manifest['app']} evaluate {run.path}"
        ) from error
    return scores
