"""Name a predicted number."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.app import TaskName
from inference.tasks.numbers import decisions_in_graph, decisions_of_training, rows_of
from training.run import Run

__all__ = ["NAME", "OUTPUT_NAMES", "decisions_in_graph", "decisions_of_training", "rows"]

NAME: TaskName = "regression"
OUTPUT_NAMES: str | tuple[str, ...] = "value"


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:  # noqa: ARG001
    """Return the number of each input."""
    return rows_of(("value",), outputs)
