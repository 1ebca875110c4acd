"""Tasks whose outputs are numbers, by which nothing is decided."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from training.run import Run


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:  # noqa: ARG001
    """Return a function that adds no output."""
    return lambda output: {}  # noqa: ARG005


def decisions_of_training(run: Run) -> Callable[[dict[str, Any]], dict[str, Any]]:  # noqa: ARG001
    """Return a function that adds no output."""
    return lambda numbers: {}  # noqa: ARG005


def rows_of(names: tuple[str, ...], outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the numbers of each input by name."""
    values = [outputs[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
