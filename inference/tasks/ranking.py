"""Name the rating, its standard deviation and the score of a user and an item."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.app import TaskName
from inference.tasks.numbers import decisions_in_graph, decisions_of_training, rows_of
from training.run import Run

__all__ = ["NAME", "OUTPUT_NAMES", "decisions_in_graph", "decisions_of_training", "rows"]

NAME: TaskName = "ranking"
OUTPUT_NAMES: str | tuple[str, ...] = ("rating", "score", "rating_std")


def rows(run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:  # noqa: ARG001
    """Return the rating, its standard deviation if the model knows it, and the score of pairs."""
    return rows_of(("rating", "rating_std", "score"), outputs)
