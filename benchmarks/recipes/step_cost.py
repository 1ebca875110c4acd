"""Seconds of one step of each optimizer of ours on 200 small variables, beside Adam's, in turn.

Prints a JSON line: for each name the ratio to the median of three Adams in the same round, made
before, between and after the others: one of them alone was a quarter slower than its twins.
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
    """Ours, and AdamW, which shows the error: it does what Adam does, and a little more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    random = np.random.default_rng(parser.parse_args().seed)
    names = [cls.__name__.lower() for cls in (*optimizers.ALL, *optimizers.WRAPPERS)]
    names.append("adamw")
    peers, steps = [step("adam", random)], {}
    for place, name in enumerate(names):
        steps[name] = step(name, random)
        if place == len(names) // 2:
            peers.append(step("adam", random))
    peers.append(step("adam", random))
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        taken = {name: seconds(one) for name, one in steps.items()}
        adam = statistics.median(seconds(one) for one in peers)
        for name, time_of_it in taken.items():
            found[name].append(time_of_it / adam)
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
