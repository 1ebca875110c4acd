"""Checks of single optimizer steps; each raises AssertionError if it fails.

Checks that train a model are in `conformance.training_checks`.
"""

import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from conformance.subject import (
    JIT_COMPILE,
    LEARNING_RATES,
    START,
    Subject,
    apply_steps,
    gradient_sequence,
    gradients_at,
    make_variables,
    values_of,
    weights_after,
)

NUM_STEPS = 200
MAX_REMAINING_RATIO = 0.1  # of the last to the first value of a minimised function


class Skipped(Exception):  # noqa: N818
    """Raised by a check that does not apply, with the reason."""


def require(condition: Any, reason: str) -> None:
    """Raise AssertionError unless the condition holds, also under `python -O`."""
    if not condition:
        raise AssertionError(reason)


def assert_equal(
    ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float, remedy: str
) -> None:
    """Raise AssertionError if arrays differ by more than `tolerance` of their largest number."""
    pairs = list(zip(ours, theirs, strict=True))
    differences = [np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs]
    largest = max(differences) if all(map(np.isfinite, differences)) else math.nan
    require(
        largest <= tolerance, f"off by {largest:.1e}, at most {tolerance:.0e} allowed: {remedy}"
    )


def _float32(arrays: list[np.ndarray]) -> list[Any]:
    return [ops.cast(array, "float32") for array in arrays]


def equals_its_reference(subject: Subject) -> None:
    """Float32 steps equal the paper's formulas in float64 to 1e-6, over 200 steps."""
    if subject.reference is None:
        raise Skipped("no reference implementation")
    rate = float(np.float32(subject.learning_rate))
    expected = subject.reference(START, gradient_sequence(), NUM_STEPS, rate)
    change = max(np.abs(a - b).max() for a, b in zip(expected, START, strict=True))
    require(change > 1e-3, "the reference does not move: choose a larger learning rate")
    actual = weights_after(subject.new(), NUM_STEPS)
    assert_equal(actual, expected, 1e-6, "compare it with the paper")


def _bowl(weights: list[Any]) -> Any:
    return ops.sum(ops.square(weights[0] - 1.0))


def _matrix(weights: list[Any]) -> Any:
    target = ops.reshape(ops.arange(6, dtype="float32"), (2, 3)) / 6
    return ops.sum(ops.square(ops.matmul(weights[0], weights[1]) - target))


def _rosenbrock(weights: list[Any]) -> Any:
    x, y = weights[0][0], weights[0][1]
    return ops.square(1 - x) + 10 * ops.square(y - ops.square(x))


def _mixed(weights: list[Any]) -> Any:
    """Compute a loss whose target kernels have mean 0: CentralizedGradient cannot change means."""
    total = 0.0
    for weight in weights:
        rank = len(weight.shape)
        if rank > 1:
            slope = ops.linspace(-0.5, 0.5, weight.shape[0], dtype="float32")
            target = ops.reshape(slope, (-1, *[1] * (rank - 1)))
            means = ops.mean(weight, tuple(range(rank - 1)), keepdims=True)
            total += ops.mean(ops.square(weight - means - target))
        else:
            total += ops.mean(ops.square(weight - 0.5))
    return total


# Functions to minimise, with the shapes of their weights.
FUNCTIONS: dict[str, tuple[Callable[[list[Any]], Any], list[tuple[int, ...]]]] = {
    "a bowl": (_bowl, [(5,)]),
    "a product of matrices": (_matrix, [(2, 2), (2, 3)]),
    "Rosenbrock's valley": (_rosenbrock, [(2,)]),
    "tensors of 0 to 3 axes": (_mixed, [(), (4,), (3, 4), (2, 3, 2)]),
}


def minimizes(subject: Subject) -> None:
    """Reduces four functions to a tenth, at its own learning rate or 0.01, 0.1, 1 or 0.001."""
    for name, (function, shapes) in FUNCTIONS.items():
        ratios = []
        for rate in dict.fromkeys((subject.learning_rate, *LEARNING_RATES)):
            ratios.append(_remaining_ratio(subject.make(rate), function, shapes))
            if ratios[-1] < MAX_REMAINING_RATIO:
                break
        require(
            min(ratios) < MAX_REMAINING_RATIO,
            f"left {min(ratios):.2g} of {name} in {NUM_STEPS} steps",
        )


def _remaining_ratio(optimizer: Any, function: Any, shapes: list[tuple[int, ...]]) -> float:
    """Return the value of a function after some steps, divided by its first value."""
    random = np.random.default_rng(1)
    model = _FunctionOfWeights([random.normal(size=shape) * 0.5 for shape in shapes], function)
    model.compile(optimizer, loss=lambda _, output: output, jit_compile=JIT_COMPILE)
    zeros = np.zeros((NUM_STEPS, 1), "float32")
    before = float(function(model.parts))
    model.fit(zeros, zeros, batch_size=1, verbose=0)
    after = float(function(model.parts))
    return after / before if math.isfinite(after) else math.inf


class _FunctionOfWeights(keras.Model):
    """Model whose output depends on its weights only, not on the input."""

    def __init__(self, start: list[np.ndarray], function: Any) -> None:
        super().__init__(name="weights")
        self.function = function
        self.parts = [
            self.add_weight(shape=part.shape, initializer=_constant(part), name=f"part_{index}")
            for index, part in enumerate(start)
        ]

    def call(self, inputs: Any) -> Any:
        return self.function(self.parts) + 0 * inputs


def _constant(value: np.ndarray) -> Any:
    return lambda shape, dtype: ops.cast(value.reshape(shape), dtype)


def keeps_its_arguments(subject: Subject) -> None:
    """A round trip through JSON preserves the class and the arguments."""
    before = subject.new(clipnorm=1.0, weight_decay=0.5)
    text = json.dumps(keras.optimizers.serialize(before))
    after = keras.optimizers.deserialize(json.loads(text))
    require(type(after) is type(before), f"came back as {type(after).__name__}")
    require(after.get_config() == before.get_config(), "get_config() lacks an argument")


def accepts_a_schedule(subject: Subject) -> None:
    """A schedule gives the same steps as setting each learning rate by hand, down to 0."""
    schedule = keras.optimizers.schedules.PolynomialDecay(subject.learning_rate, 10)
    scheduled, by_hand = make_variables(), make_variables()
    with_schedule, without_schedule = subject.make(schedule), subject.new()
    without_schedule.build(by_hand)
    for step in range(5):
        gradients = _float32(gradients_at(START, step))
        without_schedule.learning_rate = float(schedule(step))
        with_schedule.apply(gradients, scheduled)
        without_schedule.apply(gradients, by_hand)
    remedy = "use the argument learning_rate of update_step"
    assert_equal(values_of(scheduled), values_of(by_hand), 1e-6, remedy)
    require(not np.allclose(values_of(scheduled)[0], START[0], atol=1e-9), "it did not move")
    assert_equal(weights_after(subject.make(0.0), 2), START, 0.0, remedy)


def rejects_invalid_learning_rates(subject: Subject) -> None:
    """Raises ValueError for a learning rate that is negative, NaN or infinite."""
    for rate in (-1.0, math.nan, math.inf):
        try:
            subject.make(rate)
        except ValueError:
            continue
        raise AssertionError(f"accepted a learning rate of {rate}")


def keeps_bfloat16(subject: Subject) -> None:
    """Weights in bfloat16 keep their dtype and end near those in float32."""
    weights = make_variables(dtype="bfloat16")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        actual = apply_steps(subject.new(), weights, 20)
    for weight in weights:
        dtype = keras.backend.standardize_dtype(weight.dtype)
        require(dtype == "bfloat16", f"became {dtype}")
    assert_equal(actual, weights_after(subject.new(), 20), 0.1, "cast to the variable's dtype")


def applies_ema(subject: Subject) -> None:
    """With use_ema it averages the weights and puts the averages in place at the end."""
    try:
        optimizer = subject.new(use_ema=True, ema_momentum=0.5)
    except ValueError as error:
        raise Skipped(str(error)) from error
    weights = make_variables()
    gradient = gradient_sequence()
    average = [np.zeros_like(start) for start in START]
    for _ in range(5):
        optimizer.apply(_float32(gradient(values_of(weights))), weights)
        average = [0.5 * a + 0.5 * b for a, b in zip(average, values_of(weights), strict=True)]
    optimizer.finalize_variable_values(weights)
    # Keras starts the average at the weights after the first step.
    first = weights_after(subject.new(), 1)
    expected = [a + 0.5**5 * b for a, b in zip(average, first, strict=True)]
    assert_equal(values_of(weights), expected, 1e-5, "call super().build(variables)")


CLIPS = {
    "clipvalue": lambda gradients, limit: [np.clip(one, -limit, limit) for one in gradients],
    "clipnorm": lambda gradients, limit: [
        _clip_by_norm(one, _norm([one]), limit) for one in gradients
    ],
    "global_clipnorm": lambda gradients, limit: [
        _clip_by_norm(one, _norm(gradients), limit) for one in gradients
    ],
}


def _norm(gradients: list[np.ndarray]) -> float:
    return math.sqrt(sum((one**2).sum() for one in gradients))


def _clip_by_norm(gradient: np.ndarray, norm: float, limit: float) -> np.ndarray:
    return gradient * min(1.0, limit / norm)


def clips_gradients(subject: Subject) -> None:
    """clipvalue, clipnorm and global_clipnorm equal steps on gradients clipped beforehand."""
    for name, clip in CLIPS.items():
        clipping, plain = subject.new(**{name: 0.1}), subject.new()
        weights, expected = make_variables(), make_variables()
        for step in range(3):
            gradients = gradients_at(START, step)
            clipping.apply(_float32(gradients), weights)
            plain.apply(_float32(clip(gradients, 0.1)), expected)
        remedy = f"pass {name} to super().__init__"
        assert_equal(values_of(weights), values_of(expected), 1e-5, remedy)


def excludes_from_weight_decay(subject: Subject) -> None:
    """A variable that is excluded from weight decay moves as without weight decay."""
    final_weights = []
    for decay in (0.0, 0.5):
        optimizer, weights = subject.new(weight_decay=decay), make_variables()
        optimizer.exclude_from_weight_decay(var_list=weights)
        final_weights.append(apply_steps(optimizer, weights, 3))
    assert_equal(final_weights[1], final_weights[0], 0.0, "check self._use_weight_decay(variable)")


def accumulates_gradients(subject: Subject) -> None:
    """Two accumulated gradients equal one step on their mean."""
    weights, expected = make_variables(), make_variables()
    accumulating, plain = subject.new(gradient_accumulation_steps=2), subject.new()
    for step in range(0, 8, 2):
        pair = gradients_at(START, step), gradients_at(START, step + 1)
        for gradients in pair:
            accumulating.apply(_float32(gradients), weights)
        mean = [(a + b) / 2 for a, b in zip(*pair, strict=True)]
        plain.apply(_float32(mean), expected)
    remedy = "use self.iterations, not _iterations"
    assert_equal(values_of(weights), values_of(expected), 1e-5, remedy)


def skips_missing_gradients(subject: Subject) -> None:
    """A variable without gradient stays unchanged, with a warning that names it."""
    weights = make_variables()
    before = values_of(weights)
    optimizer = subject.new()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.apply([ops.ones((3, 3)), None], weights)
    require(any("Gradients do not exist" in str(one.message) for one in caught), "no warning")
    require((values_of(weights)[1] == before[1]).all(), "the variable without gradient moved")


def rejects_unknown_variables(subject: Subject) -> None:
    """Raises ValueError for variables that it was not built for."""
    optimizer = subject.new()
    optimizer.build(make_variables())
    try:
        optimizer.apply([ops.ones(one.shape) for one in START], make_variables())
    except ValueError:
        return
    raise AssertionError("it updated variables that it was not built for")
