"""Measure a step of each of our optimizers on 200 small variables, relative to Adam's, in turn.

Prints a JSON line: for each name the ratio to the median of three Adams of the same round, built
before, between and after the others, because a single Adam was a quarter slower than the others.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import optimizers

ROUNDS, STEPS = 7, 10


def main() -> None:
    """Measure our optimizers, and AdamW, whose ratio shows the error of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    random = np.random.default_rng(parser.parse_args().seed)
    names = [cls.__name__.lower() for cls in (*optimizers.ALL, *optimizers.WRAPPERS)]
    names.append("adamw")
    peers, steps = [step("adam", random)], {}
    for index, name in enumerate(names):
        steps[name] = step(name, random)
        if index == len(names) // 2:
            peers.append(step("adam", random))
    peers.append(step("adam", random))
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        durations = {name: seconds(run_step) for name, run_step in steps.items()}
        adam = statistics.median(seconds(run_step) for run_step in peers)
        for name, duration in durations.items():
            ratios[name].append(duration / adam)
    print(json.dumps({name: statistics.median(values) for name, values in ratios.items()}))


def step(name: str, random: np.random.Generator) -> Callable[[], Any]:
    """Return a compiled step of 100 matrices of 16 x 16 and 100 vectors of 16."""
    shapes = [(16, 16), (16,)] * 100
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    gradients = [tf.constant(random.normal(size=shape), "float32") for shape in shapes]
    optimizer = optimizers.get(name, 1e-3)
    optimizer.build(variables)
    compiled = tf.function(lambda: optimizer.apply(gradients, variables), autograph=False)
    for _ in range(3):
        compiled()
    return compiled


def seconds(run_step: Callable[[], Any]) -> float:
    """Return the seconds of STEPS steps."""
    start = time.perf_counter()
    for _ in range(STEPS):
        run_step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
