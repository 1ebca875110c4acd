"""Tasks whose outputs are numbers, with intervals around them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from training.coverage import Intervals
from training.held_out import values_and_guides
from training.run import Run

INTERVAL = "interval"


def decisions_in_graph(run: Run) -> Callable[[Any], dict[str, Any]]:
    """Return a function from numbers to the interval of each, [n, 2], if the run has intervals."""
    intervals = run.coverage
    if not isinstance(intervals, Intervals):
        return lambda output: {}  # noqa: ARG005
    at, spreads = (np.array(one, "float32") for one in (intervals.at, intervals.spreads))

    def decide(output: Any) -> dict[str, Any]:
        values, guides = values_and_guides(output)
        # The spread is linear between its points, and constant beyond them.
        shares = tf.clip_by_value((guides[:, None] - at[:-1]) / np.diff(at), 0.0, 1.0)
        spread = spreads[0] + tf.reduce_sum(shares * np.diff(spreads), -1)
        half = np.float32(intervals.quantile) * spread
        return {INTERVAL: tf.stack([values - half, values + half], -1)}

    return decide


def decisions_of_training(run: Run) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the same function for arrays; the argument are the named numbers of an export."""
    intervals = run.coverage
    if not isinstance(intervals, Intervals):
        return lambda numbers: {}  # noqa: ARG005

    def decide(numbers: dict[str, Any]) -> dict[str, Any]:
        values = numbers["value"] if "value" in numbers else numbers["rating"]
        return {INTERVAL: intervals.bounds(values, numbers.get("rating_std", values))}

    return decide


def rows_of(names: tuple[str, ...], outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the numbers of each input by name."""
    names = tuple(name for name in (*names, INTERVAL) if name in outputs)
    values = [outputs[name].tolist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
