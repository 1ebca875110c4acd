"""A model's loss over all training examples, as a function of its weights for solvers."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optimizers.solver import Iterate, Solver

BLOCK_EXAMPLES = 4096  # in one pass, so that memory stays bounded
ITERATIONS_PER_EPOCH = 10


class FullBatchObjective:
    """The mean loss and the penalties of a model, in float64 and without dropout.

    Args:
        model: any functional model; only its structure and weights are read.
        inputs: arrays by name, [examples, any] each.
        targets: [examples].
        loss: its `call` gives a loss for each example, and for squared errors
            its `errors` [examples, any].
        weights: of the examples in the mean, [examples] of mean 1; None for 1.

    """

    def __init__(
        self,
        model: Any,
        inputs: dict[str, np.ndarray],
        targets: Any,
        loss: Any,
        weights: np.ndarray | None = None,
    ) -> None:
        self.model = model
        # In float32 rounding hides the gradient near a minimum.
        uncompiled = keras.Model(model.input, model.output)  # clones of compiled ones are compiled
        self.float64_model = keras.models.clone_model(uncompiled, clone_function=_in_float64)
        self.float64_model.set_weights(model.get_weights())
        self.variables = self.float64_model.trainable_variables
        self.loss = loss
        weights = np.ones(len(targets)) if weights is None else weights
        self.blocks = [
            (
                {name: tf.constant(array[rows]) for name, array in inputs.items()},
                tf.constant(targets[rows]),
                tf.constant(weights[rows], "float64"),
            )
            for rows in map(_block, range(0, len(targets), BLOCK_EXAMPLES))
        ]
        self.num_examples = len(targets)
        self.num_weights = sum(int(np.prod(variable.shape)) for variable in self.variables)
        self._block_sums = tf.function(self._block_parts, autograph=False, reduce_retracing=True)

    def __call__(self, weights: np.ndarray) -> tuple:
        """Value and gradient [n]."""
        return self._evaluate(weights, "gradient")

    def hessian(self, weights: np.ndarray) -> tuple:
        """Value, gradient [n] and Hessian [n, n]."""
        return self._evaluate(weights, "hessian")

    def gauss_newton(self, weights: np.ndarray) -> tuple:
        """|r|^2 / 2, J^T r [n] and J^T J [n, n], each divided by the number of examples."""
        return self._evaluate(weights, "gauss_newton")

    def iterate(
        self, solver: Solver, limit: int, report_every: int = ITERATIONS_PER_EPOCH
    ) -> Iterator[dict[str, float]]:
        """Run a solver for at most `limit` iterations.

        Every `report_every` iterations, put the current weights into the model; yield their scores.
        """
        function = self if solver.needs == "gradient" else getattr(self, solver.needs)
        start = self.weights()
        # A solver that starts at a minimum makes no iteration.
        last: Iterate | None = Iterate(start, 0.0, 0.0)
        for number, last in enumerate(solver.minimize(function, start), 1):
            if number % report_every == 0 or number == limit:
                yield self._apply_iterate(last)
                last = None
            if number == limit:
                return
        if last is not None:
            yield self._apply_iterate(last)

    def weights(self) -> np.ndarray:
        """Return the current weights, flat."""
        return np.concatenate([variable.numpy().ravel() for variable in self.variables])

    def _apply_iterate(self, iterate: Iterate) -> dict[str, float]:
        """Put a solver's weights into the model; return their scores."""
        value, *_ = self(iterate.weights)
        self.model.set_weights(self.float64_model.get_weights())
        return {"loss": value, "slope": iterate.max_gradient}

    def _evaluate(self, weights: np.ndarray, needs: str) -> tuple:
        flat = tf.constant(weights, "float64")
        parts = [
            self._block_sums(flat, *block, needs, with_penalties=not number)
            for number, block in enumerate(self.blocks)
        ]
        value, *rest = (sum(part.numpy() for part in values) for values in zip(*parts, strict=True))
        return float(value), *rest

    def _block_parts(
        self,
        flat: Any,
        inputs: Any,
        targets: Any,
        weights: Any,
        needs: str,
        *,
        with_penalties: bool,
    ) -> list[Any]:
        """Return a block's part of each sum over all examples; one block adds the penalties."""
        self._set_weights(flat)
        with tf.GradientTape(persistent=True) as outer, tf.GradientTape() as inner:
            values = self._values(inputs, targets, weights, needs)
            value = tf.reduce_sum(values) / self.num_examples
            if with_penalties and needs != "gauss_newton":
                value += sum(tf.cast(variable, "float64") for variable in self.float64_model.losses)
            if needs != "gauss_newton":
                gradient = _flat(inner.gradient(value, self.variables), self.variables)
        if needs == "gradient":
            return [value, gradient]
        if needs == "hessian":
            return [value, gradient, self._jacobian(outer, gradient)]
        jacobian, share = self._jacobian(outer, values), 1 / self.num_examples
        gradient = tf.linalg.matvec(jacobian, values, transpose_a=True)
        curvature = tf.matmul(jacobian, jacobian, transpose_a=True)
        return [tf.reduce_sum(values**2) * share / 2, gradient * share, curvature * share]

    def _set_weights(self, flat: Any) -> None:
        parts = tf.split(flat, [int(np.prod(variable.shape)) for variable in self.variables])
        for variable, part in zip(self.variables, parts, strict=True):
            variable.assign(tf.reshape(part, variable.shape))

    def _values(self, inputs: Any, targets: Any, weights: Any, needs: str) -> Any:
        """Return the weighted losses of the examples, or their errors for Gauss-Newton."""
        float64_inputs = {name: tf.cast(array, "float64") for name, array in inputs.items()}
        predicted = self.float64_model(float64_inputs, training=False)
        if needs == "gauss_newton":
            errors = self.loss.errors(targets, predicted)
            return tf.reshape(errors * tf.sqrt(weights)[:, None], [-1])
        return self.loss.call(targets, predicted) * weights

    def _jacobian(self, tape: Any, values: Any) -> Any:
        zero = tf.UnconnectedGradients.ZERO
        sources = [variable.value for variable in self.variables]
        parts = tape.jacobian(values, sources, unconnected_gradients=zero)
        return tf.concat([tf.reshape(variable, [tf.size(values), -1]) for variable in parts], 1)


def _block(start: int) -> slice:
    return slice(start, start + BLOCK_EXAMPLES)


def _in_float64(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config() | {"dtype": "float64"})


def _flat(gradients: list[Any], variables: list[Any]) -> Any:
    pairs = zip(gradients, variables, strict=True)
    return tf.concat(
        [tf.reshape(tf.zeros(v.shape, "float64") if g is None else g, [-1]) for g, v in pairs], 0
    )
