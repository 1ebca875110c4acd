"""The runs of several seeds in one directory, as `train --seeds 5` makes them."""

import json
from pathlib import Path
from typing import Any

from training.run import Run, RunError

SUMMARY_FILE = "seeds.json"
# Of the summary; other programs may write a file of this name.
KEYS = ("app", "runs", "test", "variance", "verdict", "findings", "comparisons")


def folder_of(seed: int) -> str:
    """Return the name of the run directory of a seed."""
    return f"seed-{seed}"


def find(path: Path) -> dict[str, Any] | None:
    """Return the content of seeds.json in a directory; None if there is none.

    Raises RunError if it is damaged.
    """
    try:
        content = json.loads((path / SUMMARY_FILE).read_text())
        missing = [key for key in KEYS if key not in content]
        if missing or not isinstance(content, dict):
            raise ValueError(f"it lacks {', '.join(missing)}")
        return content
    except (OSError, RuntimeError):  # a link to itself, among others
        return None
    except (ValueError, TypeError) as error:
        raise RunError(
            f"Received {path / SUMMARY_FILE}, which is damaged ({error}); expected JSON as "
            "training wrote it. Train again with the same --run-dir."
        ) from error


def group_of(run: Run) -> dict[str, Any] | None:
    """Return the content of seeds.json of the directory that holds a run with other seeds."""
    try:
        content = find(run.path.parent)
    except RunError:
        return None
    if content is None:
        return None
    return content if any(row["run"] == run.path.name for row in content["runs"]) else None
