"""Measure how fast solvers and Adam solve two least-squares problems.

Prints a JSON line: seconds and iterations of Levenberg-Marquardt and L-BFGS to a mean squared
error of 1e-8, and of Adam to 1e-3, at the best of six learning rates and at its default one.
Compiling is not counted.
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

DEFAULT_RATE = 1e-3
RATES = (DEFAULT_RATE, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
SOLVER_TARGET, ADAM_TARGET = 1e-8, 1e-3
DIMENSIONS = 10
MAX_ITERATIONS = 2000  # of a solver
STEPS_PER_CALL, MAX_CALLS = 50, 400  # of Adam


def _start(shape: tuple[int], dtype: str) -> np.ndarray:
    return np.where(np.arange(*shape) % 2, 1.0, -1.2).astype(dtype)


class Valley(keras.layers.Layer):
    """Errors 1 - x_i and 10 (x_(i+1) - x_i^2) of Rosenbrock's valley in `DIMENSIONS` dimensions."""

    def build(self, shape: Any) -> None:  # noqa: ARG002
        """Create the position, which starts at (-1.2, 1, -1.2, 1, ...)."""
        self.place = self.add_weight(shape=(DIMENSIONS,), initializer=_start)

    def call(self, which: Any) -> Any:
        """One-hot numbers of errors [n, 2 (SIDES - 1)] -> those errors, [n, 1, 1]."""
        x, following = self.place[:-1], self.place[1:]
        errors = keras.ops.concatenate([1 - x, 10 * (following - x * x)])
        return keras.ops.matmul(which, errors[:, None])[:, None]


def problem(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a model, its inputs and its targets."""
    if name == "valley":
        count = 2 * (DIMENSIONS - 1)
        inputs = keras.Input((count,), name="which")
        model = keras.Model({"which": inputs}, Valley()(inputs))
        return model, np.eye(count), np.zeros(count)
    x = np.linspace(-1, 1, 100)[:, None]
    inputs = keras.Input((1,), name="which")
    steep = keras.initializers.RandomNormal(0, 3)
    hidden = keras.layers.Dense(15, "tanh", kernel_initializer=steep)(inputs)
    answer = keras.layers.Reshape((1, 1))(keras.layers.Dense(1)(hidden))
    return keras.Model({"which": inputs}, answer), x, np.sinc(3 * x[:, 0])


def time_solver(solver: Any, function: Any, start: np.ndarray) -> dict[str, Any]:
    """Return seconds and iterations to SOLVER_TARGET; None if 2,000 do not reach it."""
    function(start)  # compiles
    start_time = time.perf_counter()
    for number, iterate in enumerate(solver.minimize(function, start), 1):
        error = iterate.value * (2 if solver.needs == "gauss_newton" else 1)
        if error < SOLVER_TARGET:
            return {"seconds": time.perf_counter() - start_time, "iterations": number}
        if number == MAX_ITERATIONS:
            break
    return {"seconds": None, "iterations": None}


def time_adam(objective: FullBatchObjective, rate: float) -> dict[str, Any]:
    """Return seconds and iterations of Adam to ADAM_TARGET, with its steps in a graph's loop."""
    loss, variables = objective.loss, objective.variables
    ((inputs, targets, _),) = objective.blocks
    adam = keras.optimizers.Adam(rate)
    adam.build(variables)

    @tf.function
    def steps() -> Any:
        value = tf.zeros([], "float64")
        for _ in tf.range(STEPS_PER_CALL):
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss.call(targets, objective.float64_model(inputs)))
            adam.apply(tape.gradient(value, [variable.value for variable in variables]), variables)
        return value

    initial = [variable.numpy() for variable in (*variables, *adam.variables)]
    steps()  # compiles
    for variable, value in zip((*variables, *adam.variables), initial, strict=True):
        variable.assign(value)
    start = time.perf_counter()
    for call in range(1, MAX_CALLS + 1):
        if steps().numpy() < ADAM_TARGET:
            return {"seconds": time.perf_counter() - start, "iterations": call * STEPS_PER_CALL}
    return {"seconds": None, "iterations": None}


def main() -> None:
    """Solve both problems and print one JSON line."""
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
            "Levenberg-Marquardt": time_solver(LevenbergMarquardt(), objective.gauss_newton, start),
            "L-BFGS": time_solver(LBFGS(), objective, start),
        }
        tries = {}
        for rate in RATES:
            objective(start)
            tries[rate] = time_adam(objective, rate)
        reached = [solution for solution in tries.values() if solution["seconds"] is not None]
        best = min(reached, key=lambda solution: solution["seconds"], default=tries[DEFAULT_RATE])
        result[name] |= {"Adam, its best rate": best, "Adam, its default rate": tries[DEFAULT_RATE]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
