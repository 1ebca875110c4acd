"""Integrated gradients: share the difference of two scores among the inputs of a network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

FIRST_STEPS, MAX_STEPS = 64, 8192  # points on the path; doubled until the attributions add up
STEPS_PER_BATCH = 64
MAX_COMPLETENESS_ERROR = 0.01  # of the difference of the scores
MIN_DIFFERENCE = 1e-3  # of the scores, below which the error is relative to this


class Attributions(NamedTuple):
    """What each input adds to a score.

    Attributes:
        values: structured like the input.
        start: score of the baseline.
        end: score of the input.
        steps: points on the path.

    """

    values: Any
    start: float
    end: float
    steps: int

    @property
    def error(self) -> float:
        """How far the attributions are from adding up, relative to the difference of scores."""
        total = sum(float(part.sum()) for part in tf.nest.flatten(self.values))
        difference = self.end - self.start
        return abs(total - difference) / max(abs(difference), MIN_DIFFERENCE)

    @property
    def complete(self) -> bool:
        """Whether the attributions add up to the difference of the scores."""
        return self.error <= MAX_COMPLETENESS_ERROR


def integrated_gradients(score: Callable[[Any], Any], x: Any, baseline: Any) -> Attributions:
    """Integrate the gradients of a score along the straight line from a baseline to an input.

    The number of points doubles until the attributions add up to within 1 %; see
    `Attributions.complete`, which is false for models with jumps, such as trees.

    Args:
        score: from a batch of prepared inputs to scores [n].
        x: one prepared input, an array or a structure of arrays, without the batch dimension.
        baseline: structured like `x`.

    References:
        Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017,
        equation 1 and proposition 1.

    """
    x, baseline = (tf.nest.map_structure(_float32, part) for part in (x, baseline))
    gradients = tf.function(lambda points: _gradients(score, points), autograph=False)
    ends = tf.nest.map_structure(lambda one, other: tf.stack([one, other]), baseline, x)
    start, end = np.asarray(score(ends), "float64").tolist()
    steps = FIRST_STEPS
    while True:
        found = Attributions(_integrate(gradients, x, baseline, steps), start, end, steps)
        if found.complete or steps >= MAX_STEPS:
            return found
        steps *= 2


def _float32(array: Any) -> Any:
    return tf.cast(tf.convert_to_tensor(array), "float32")


def _gradients(score: Callable[[Any], Any], points: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = tf.reduce_sum(score(points))
    return tape.gradient(total, points, unconnected_gradients="zero")


def _integrate(gradients: Callable[[Any], Any], x: Any, baseline: Any, steps: int) -> Any:
    """Return (x - baseline) times the mean gradient at the middles of equal steps."""
    sums = tf.nest.map_structure(lambda part: np.zeros(part.shape), x)
    middles = (np.arange(steps) + 0.5) / steps
    for alphas in np.split(middles, steps // STEPS_PER_BATCH):

        def on_path(one: Any, other: Any, alphas: np.ndarray = alphas) -> Any:
            shape = [-1, *[1] * len(one.shape)]
            return other + tf.reshape(tf.constant(alphas, "float32"), shape) * (one - other)

        points = tf.nest.map_structure(on_path, x, baseline)
        sums = tf.nest.map_structure(
            lambda total, part: total + np.asarray(part, "float64").sum(0), sums, gradients(points)
        )
    return tf.nest.map_structure(
        lambda one, other, total: np.asarray(one - other, "float64") * total / steps,
        x, baseline, sums,
    )  # fmt: skip
