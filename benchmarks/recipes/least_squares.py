"""A curve and a valley by least squares: how soon solvers and Adam come how near.

Prints a JSON line: seconds and iterations of Levenberg-Marquardt and L-BFGS to a mean squared
error of 1e-8, and of Adam to 1e-3, at the best of six rates and at its default one. Compiling
is not counted.
"""

import argparse
import json
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.full_batch import FullBatchObjective
from apps.regression.losses import SquaredError
from optimizers import LBFGS, LevenbergMarquardt

USUAL = 1e-3
RATES = (USUAL, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
NEAR, ROUGH = 1e-8, 1e-3
SIDES = 10
MOST = 2000  # iterations of a solver
STEPS, BLOCKS = 50, 400  # of Adam in a call, and calls


def _start(shape: tuple[int], dtype: str) -> np.ndarray:
    return np.where(np.arange(*shape) % 2, 1.0, -1.2).astype(dtype)


class Valley(keras.layers.Layer):
    """Errors 1 - x_i and 10 (x_(i+1) - x_i^2) of Rosenbrock's valley in `SIDES` dimensions."""

    def build(self, shape: Any) -> None:  # noqa: ARG002
        """From (-1.2, 1, -1.2, 1, ...)."""
        self.place = self.add_weight(shape=(SIDES,), initializer=_start)

    def call(self, which: Any) -> Any:
        """One-hot numbers of errors [n, 2 (SIDES - 1)] -> those errors, [n, 1, 1]."""
        x, following = self.place[:-1], self.place[1:]
        errors = keras.ops.concatenate([1 - x, 10 * (following - x * x)])
        return keras.ops.matmul(which, errors[:, None])[:, None]


def problem(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A model, its inputs and its targets."""
    if name == "valley":
        count = 2 * (SIDES - 1)
        inputs = keras.Input((count,), name="which")
        model = keras.Model({"which": inputs}, Valley()(inputs))
        return model, np.eye(count), np.zeros(count)
    x = np.linspace(-1, 1, 100)[:, None]
    inputs = keras.Input((1,), name="which")
    steep = keras.initializers.RandomNormal(0, 3)
    hidden = keras.layers.Dense(15, "tanh", kernel_initializer=steep)(inputs)
    answer = keras.layers.Reshape((1, 1))(keras.layers.Dense(1)(hidden))
    return keras.Model({"which": inputs}, answer), x, np.sinc(3 * x[:, 0])


def solved(solver: Any, function: Any, start: np.ndarray) -> dict[str, Any]:
    """Seconds and iterations to the near goal; None where it is not reached in 2,000."""
    function(start)  # compiles
    began = time.perf_counter()
    for number, found in enumerate(solver.minimize(function, start), 1):
        error = found.value * (2 if solver.needs == "gauss_newton" else 1)
        if error < NEAR:
            return {"seconds": time.perf_counter() - began, "iterations": number}
        if number == MOST:
            break
    return {"seconds": None, "iterations": None}


def descended(objective: FullBatchObjective, rate: float) -> dict[str, Any]:
    """As `solved`, of Adam to the rough goal: its steps in a loop on the graph."""
    loss, variables = objective.loss, objective.variables
    ((inputs, targets),) = objective.blocks
    adam = keras.optimizers.Adam(rate)
    adam.build(variables)

    @tf.function
    def steps() -> Any:
        value = tf.zeros([], "float64")
        for _ in tf.range(STEPS):
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss.call(targets, objective.float64_model(inputs)))
            adam.apply(tape.gradient(value, [one.value for one in variables]), variables)
        return value

    kept = [one.numpy() for one in (*variables, *adam.variables)]
    steps()  # compiles
    for one, value in zip((*variables, *adam.variables), kept, strict=True):
        one.assign(value)
    start = time.perf_counter()
    for block in range(1, BLOCKS + 1):
        if steps().numpy() < ROUGH:
            return {"seconds": time.perf_counter() - start, "iterations": block * STEPS}
    return {"seconds": None, "iterations": None}


def main() -> None:
    """Both problems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    result = {}
    for name in ("valley", "sinc"):
        keras.utils.set_random_seed(seed)
        model, inputs, targets = problem(name)
        objective = FullBatchObjective(model, {"which": inputs}, targets, SquaredError(0.0, 1.0))
        start = objective.weights()
        result[name] = {
            "Levenberg-Marquardt": solved(LevenbergMarquardt(), objective.gauss_newton, start),
            "L-BFGS": solved(LBFGS(), objective, start),
        }
        tries = {}
        for rate in RATES:
            objective(start)
            tries[rate] = descended(objective, rate)
        reached = [one for one in tries.values() if one["seconds"] is not None]
        best = min(reached, key=lambda one: one["seconds"], default=tries[USUAL])
        result[name] |= {"Adam, its best rate": best, "Adam, its default rate": tries[USUAL]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
