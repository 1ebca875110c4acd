"""How long a SavedModel takes in the process of who asks, one picture at a time.

    python benchmarks/recipes/serving_inside.py --export RUN/export/1 --seed 0

Answers by `tf.saved_model.load(...).signatures["serving_default"]`, from Python values to
Python values: once from nested lists, as a client of the server has them, and once from a
NumPy array that is there already. Prints one JSON line.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

WARM, TIMES = 200, 2000


def milliseconds(ask: Callable[[], Any]) -> dict[str, float]:
    """Median and 99th percentile of many calls, after some that are not counted."""
    for _ in range(WARM):
        ask()
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - start))
    return {"p50": statistics.median(times), "p99": sorted(times)[int(0.99 * TIMES)]}


def main() -> None:
    """Load, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    loaded = tf.saved_model.load(str(given.export))
    signature = loaded.signatures["serving_default"]
    ((name, spec),) = signature.structured_input_signature[1].items()
    shape = [1, *spec.shape[1:]]
    drawn = np.random.default_rng(given.seed).integers(0, 256, shape).astype(np.uint8)
    lists = drawn.tolist()

    def from_lists() -> dict[str, Any]:
        answers = signature(**{name: tf.constant(lists, tf.uint8)})
        return {key: value.numpy().tolist() for key, value in answers.items()}

    def from_array() -> dict[str, Any]:
        answers = signature(**{name: tf.constant(drawn)})
        return {key: value.numpy().tolist() for key, value in answers.items()}

    print(json.dumps({"lists": milliseconds(from_lists), "array": milliseconds(from_array)}))


if __name__ == "__main__":
    main()
