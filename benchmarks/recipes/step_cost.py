"""Seconds of one step of each optimizer on 200 small variables, beside Adam's, in turn.

Prints a JSON line: for each name the ratios to Adam's step measured just before.
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
    """Every name that `optimizers.get` knows; float32, on the graph, gradients given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    random = np.random.default_rng(parser.parse_args().seed)
    steps = {name: step(name, random) for name in sorted(optimizers.names())}
    found = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, one in steps.items():
            adam = seconds(steps["adam"])
            found[name].append(seconds(one) / adam)
    print(json.dumps({name: statistics.median(some) for name, some in found.items()}))


def step(name: str, random: np.random.Generator) -> Callable[[], Any]:
    """A compiled step of 100 matrices of 16 x 16 and 100 vectors of 16."""
    shapes = [(16, 16), (16,)] * 100
    variables = [keras.Variable(np.ones(shape, "float32")) for shape in shapes]
    gradients = [tf.constant(random.normal(size=shape), "float32") for shape in shapes]
    made = optimizers.get(name, 1e-3)
    made.build(variables)
    compiled = tf.function(lambda: made.apply(gradients, variables), autograph=False)
    for _ in range(3):
        compiled()
    return compiled


def seconds(one: Callable[[], Any]) -> float:
    """Of some steps."""
    start = time.perf_counter()
    for _ in range(STEPS):
        one()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
