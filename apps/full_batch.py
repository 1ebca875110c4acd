"""A model's loss over all training examples, as a function that solvers minimise."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optimizers.solver import Iterate, Solver

BLOCK = 4096  # examples in one pass: memory stays bounded
ITERATIONS = 10  # of an epoch


class Whole:
    """The mean loss and the penalties of a model, in float64 and without dropout.

    Args:
        model: any functional model; only its structure and weights are read.
        inputs: arrays by name, [examples, any] each.
        targets: [examples].
        loss: whose `call` gives a loss for each example, and for squared errors
            `errors` [examples, any].

    """

    def __init__(self, model: Any, inputs: dict[str, np.ndarray], targets: Any, loss: Any) -> None:
        self.model = model
        # In float32 rounding hides the slope near a minimum.
        plain = keras.Model(model.input, model.output)  # a compiled one is compiled again
        self.twin = keras.models.clone_model(plain, clone_function=_in_float64)
        self.twin.set_weights(model.get_weights())
        self.variables = self.twin.trainable_variables
        self.loss = loss
        self.blocks = [
            (
                {name: tf.constant(one[rows]) for name, one in inputs.items()},
                tf.constant(targets[rows]),
            )
            for rows in (slice(k, k + BLOCK) for k in range(0, len(targets), BLOCK))
        ]
        self.count = len(targets)
        self.size = sum(int(np.prod(one.shape)) for one in self.variables)
        self._sum = tf.function(self._summed, autograph=False, reduce_retracing=True)

    def __call__(self, weights: np.ndarray) -> tuple:
        """Value and gradient [n]."""
        return self._asked(weights, "gradient")

    def hessian(self, weights: np.ndarray) -> tuple:
        """Value, gradient [n] and Hessian [n, n]."""
        return self._asked(weights, "hessian")

    def gauss_newton(self, weights: np.ndarray) -> tuple:
        """|r|^2 / 2, J^T r [n] and J^T J [n, n], each divided by the number of examples."""
        return self._asked(weights, "gauss_newton")

    def sweeps(self, solver: Solver, limit: int, each: int = ITERATIONS) -> Iterator[dict]:
        """The solver's way: every so many of `limit` iterations its weights are in the model."""
        function = self if solver.needs == "gradient" else getattr(self, solver.needs)
        start = self.weights()
        last: Iterate | None = Iterate(start, 0.0, 0.0)  # where the start is a minimum
        for number, last in enumerate(solver.minimize(function, start), 1):
            if number % each == 0 or number == limit:
                yield self._taken(last)
                last = None
            if number == limit:
                return
        if last is not None:
            yield self._taken(last)

    def weights(self) -> np.ndarray:
        """Those of the twin, flat."""
        return np.concatenate([one.numpy().ravel() for one in self.variables])

    def _taken(self, found: Iterate) -> dict[str, float]:
        """Scores of the weights, which are put into the model."""
        value, *_ = self(found.weights)
        self.model.set_weights(self.twin.get_weights())
        return {"loss": value, "slope": found.max_gradient}

    def _asked(self, weights: np.ndarray, what: str) -> tuple:
        flat = tf.constant(weights, "float64")
        parts = [
            self._sum(flat, *block, what, with_penalties=not place)
            for place, block in enumerate(self.blocks)
        ]
        value, *rest = (sum(part.numpy() for part in some) for some in zip(*parts, strict=True))
        return float(value), *rest

    def _summed(
        self, flat: Any, inputs: Any, targets: Any, what: str, *, with_penalties: bool
    ) -> list[Any]:
        """A block's share of the sum over all examples, one block's with the penalties."""
        self._put(flat)
        with tf.GradientTape(persistent=True) as outer, tf.GradientTape() as inner:
            values = self._values(inputs, targets, what)
            value = tf.reduce_sum(values) / self.count
            if with_penalties and what != "gauss_newton":
                value += sum(tf.cast(one, "float64") for one in self.twin.losses)
            if what != "gauss_newton":
                gradient = _flat(inner.gradient(value, self.variables), self.variables)
        if what == "gradient":
            return [value, gradient]
        if what == "hessian":
            return [value, gradient, self._jacobian(outer, gradient)]
        jacobian, share = self._jacobian(outer, values), 1 / self.count
        pull = tf.linalg.matvec(jacobian, values, transpose_a=True)
        squares = tf.matmul(jacobian, jacobian, transpose_a=True)
        return [tf.reduce_sum(values**2) * share / 2, pull * share, squares * share]

    def _put(self, flat: Any) -> None:
        parts = tf.split(flat, [int(np.prod(one.shape)) for one in self.variables])
        for one, part in zip(self.variables, parts, strict=True):
            one.assign(tf.reshape(part, one.shape))

    def _values(self, inputs: Any, targets: Any, what: str) -> Any:
        precise = {name: tf.cast(one, "float64") for name, one in inputs.items()}
        given = self.twin(precise, training=False)
        if what == "gauss_newton":
            return tf.reshape(self.loss.errors(targets, given), [-1])
        return self.loss.call(targets, given)

    def _jacobian(self, tape: Any, values: Any) -> Any:
        zero = tf.UnconnectedGradients.ZERO
        sources = [one.value for one in self.variables]
        parts = tape.jacobian(values, sources, unconnected_gradients=zero)
        return tf.concat([tf.reshape(one, [tf.size(values), -1]) for one in parts], 1)


def _in_float64(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config() | {"dtype": "float64"})


def _flat(gradients: list[Any], variables: list[Any]) -> Any:
    pairs = zip(gradients, variables, strict=True)
    return tf.concat(
        [tf.reshape(tf.zeros(v.shape, "float64") if g is None else g, [-1]) for g, v in pairs], 0
    )
