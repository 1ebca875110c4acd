"""What an optimizer promises, a function each: AssertionError where it is broken.

The promises of single steps; those of training a model are in `conformance.fits`.
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
    BY_XLA,
    RATES,
    START,
    Subject,
    follow,
    followed,
    slopes,
    values,
    variables,
    walk,
)

STEPS = 200


class Skipped(Exception):  # noqa: N818
    """A promise that cannot be checked here, and why."""


def require(kept: Any, reason: str) -> None:
    """Raise AssertionError where a promise is broken, also under `python -O`."""
    if not kept:
        raise AssertionError(reason)


def assert_equal(
    ours: list[np.ndarray], theirs: list[np.ndarray], tolerance: float, remedy: str
) -> None:
    """Raise AssertionError where arrays differ by more than a share of their largest number."""
    pairs = list(zip(ours, theirs, strict=True))
    differences = [np.abs(a - b).max() / max(np.abs(b).max(), 1e-30) for a, b in pairs]
    found = max(differences) if all(map(np.isfinite, differences)) else math.nan
    require(found <= tolerance, f"off by {found:.1e}, at most {tolerance:.0e} allowed: {remedy}")


def equals_its_twin(subject: Subject) -> None:
    """Equal to the paper's formulas in float64, to 1e-6 over 200 steps in float32."""
    if subject.twin is None:
        raise Skipped("no twin")
    rate = float(np.float32(subject.rate))
    theirs = subject.twin(START, walk(), STEPS, rate)
    moved = max(np.abs(a - b).max() for a, b in zip(theirs, START, strict=True))
    require(moved > 1e-3, "the twin does not move: choose a larger rate")
    assert_equal(followed(subject.new(), STEPS), theirs, 1e-6, "compare it with the paper")


def _bowl(weights: list[Any]) -> Any:
    return ops.sum(ops.square(weights[0] - 1.0))


def _matrix(weights: list[Any]) -> Any:
    target = ops.reshape(ops.arange(6, dtype="float32"), (2, 3)) / 6
    return ops.sum(ops.square(ops.matmul(weights[0], weights[1]) - target))


def _rosenbrock(weights: list[Any]) -> Any:
    x, y = weights[0][0], weights[0][1]
    return ops.square(1 - x) + 10 * ops.square(y - ops.square(x))


def _mixed(weights: list[Any]) -> Any:
    """Without means over all axes but the last, which a centred gradient leaves alone."""
    total = 0.0
    for one in weights:
        if len(one.shape) > 1:
            slope = ops.linspace(-0.5, 0.5, one.shape[0], dtype="float32")
            target = ops.reshape(slope, (-1, *[1] * (len(one.shape) - 1)))
            axes = tuple(range(len(one.shape) - 1))
            total += ops.mean(ops.square(one - ops.mean(one, axes, keepdims=True) - target))
        else:
            total += ops.mean(ops.square(one - 0.5))
    return total


# A function, and the shapes that it takes.
TARGETS: dict[str, tuple[Callable[[list[Any]], Any], list[tuple[int, ...]]]] = {
    "a bowl": (_bowl, [(5,)]),
    "a product of matrices": (_matrix, [(2, 2), (2, 3)]),
    "Rosenbrock's valley": (_rosenbrock, [(2,)]),
    "tensors of 0 to 3 axes": (_mixed, [(), (4,), (3, 4), (2, 3, 2)]),
}


def minimises(subject: Subject) -> None:
    """Brings four functions to a tenth, at one of its rate, 0.01, 0.1, 1 and 0.001."""
    for name, (function, shapes) in TARGETS.items():
        ends = []
        for rate in dict.fromkeys((subject.rate, *RATES)):
            ends.append(_descent(subject.make(rate), function, shapes))
            if ends[-1] < 0.1:
                break
        require(min(ends) < 0.1, f"left {min(ends):.2g} of {name} in {STEPS} steps")


def _descent(optimizer: Any, function: Any, shapes: list[tuple[int, ...]]) -> float:
    """The value of a function after some steps, as a share of its first."""
    random = np.random.default_rng(1)
    network = _Weights([random.normal(size=shape) * 0.5 for shape in shapes], function)
    network.compile(optimizer, loss=lambda _, answer: answer, jit_compile=BY_XLA)
    nothing = np.zeros((STEPS, 1), "float32")
    before = float(function(network.parts))
    network.fit(nothing, nothing, batch_size=1, verbose=0)
    after = float(function(network.parts))
    return after / before if math.isfinite(after) else math.inf


class _Weights(keras.Model):
    """A model whose answer is a function of its weights alone."""

    def __init__(self, start: list[np.ndarray], function: Any) -> None:
        super().__init__(name="weights")
        self.function = function
        self.parts = [
            self.add_weight(shape=one.shape, initializer=_constant(one), name=f"part_{place}")
            for place, one in enumerate(start)
        ]

    def call(self, inputs: Any) -> Any:
        return self.function(self.parts) + 0 * inputs


def _constant(value: np.ndarray) -> Any:
    return lambda shape, dtype: ops.cast(value.reshape(shape), dtype)


def keeps_its_arguments(subject: Subject) -> None:
    """Comes back from JSON with the same class and arguments."""
    before = subject.new(clipnorm=1.0, weight_decay=0.5)
    text = json.dumps(keras.optimizers.serialize(before))
    after = keras.optimizers.deserialize(json.loads(text))
    require(type(after) is type(before), f"came back as {type(after).__name__}")
    require(after.get_config() == before.get_config(), "get_config() lacks an argument")


def takes_a_schedule(subject: Subject) -> None:
    """Follows a schedule of the learning rate as a rate that is set by hand, also to 0."""
    course = keras.optimizers.schedules.PolynomialDecay(subject.rate, 10)
    scheduled, by_hand = variables(), variables()
    one, other = subject.make(course), subject.new()
    other.build(by_hand)
    for step in range(5):
        gradients = [ops.cast(some, "float32") for some in slopes(START, step)]
        other.learning_rate = float(course(step))
        one.apply(gradients, scheduled)
        other.apply(gradients, by_hand)
    assert_equal(values(scheduled), values(by_hand), 1e-6, "use what update_step is given")
    require(not np.allclose(values(scheduled)[0], START[0], atol=1e-9), "it did not move")
    assert_equal(followed(subject.make(0.0), 2), START, 0.0, "use what update_step is given")


def refuses_wrong_rates(subject: Subject) -> None:
    """Answers a rate below 0, NaN or infinite by a ValueError."""
    for rate in (-1.0, math.nan, math.inf):
        try:
            subject.make(rate)
        except ValueError:
            continue
        raise AssertionError(f"took a learning rate of {rate}")


def keeps_bfloat16(subject: Subject) -> None:
    """Weights in bfloat16 stay so, and end near those in float32."""
    some = variables(dtype="bfloat16")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = follow(subject.new(), some, 20)
    for one in some:
        require(keras.backend.standardize_dtype(one.dtype) == "bfloat16", f"became {one.dtype}")
    assert_equal(found, followed(subject.new(), 20), 0.1, "cast what is not bfloat16")


def averages_weights(subject: Subject) -> None:
    """With use_ema its averages are those of the weights, which they replace at the end."""
    try:
        made = subject.new(use_ema=True, ema_momentum=0.5)
    except ValueError as error:
        raise Skipped(str(error)) from error
    some = variables()
    gradient = walk()
    average = [np.zeros_like(one) for one in START]
    for _ in range(5):
        made.apply([ops.cast(one, "float32") for one in gradient(values(some))], some)
        average = [0.5 * a + 0.5 * b for a, b in zip(average, values(some), strict=True)]
    made.finalize_variable_values(some)
    # Keras begins with the weights after the first step.
    first = followed(subject.new(), 1)
    expected = [a + 0.5**5 * b for a, b in zip(average, first, strict=True)]
    assert_equal(values(some), expected, 1e-5, "call super().build(variables)")


CLIPS = {
    "clipvalue": lambda some, most: [np.clip(one, -most, most) for one in some],
    "clipnorm": lambda some, most: [_shrunk(one, _norm([one]), most) for one in some],
    "global_clipnorm": lambda some, most: [_shrunk(one, _norm(some), most) for one in some],
}


def _norm(some: list[np.ndarray]) -> float:
    return math.sqrt(sum((one**2).sum() for one in some))


def _shrunk(one: np.ndarray, norm: float, most: float) -> np.ndarray:
    return one * min(1.0, most / norm)


def clips(subject: Subject) -> None:
    """Clipping by value, norm and global norm equals gradients that were clipped before."""
    for name, clip in CLIPS.items():
        clipping, plain = subject.new(**{name: 0.1}), subject.new()
        some, others = variables(), variables()
        for step in range(3):
            gradients = slopes(START, step)
            clipping.apply([ops.cast(one, "float32") for one in gradients], some)
            plain.apply([ops.cast(one, "float32") for one in clip(gradients, 0.1)], others)
        remedy = f"hand {name} on to super().__init__"
        assert_equal(values(some), values(others), 1e-5, remedy)


def excludes_from_decay(subject: Subject) -> None:
    """A variable that is excluded from weight decay moves as if there were none."""
    ends = []
    for decay in (0.0, 0.5):
        made, some = subject.new(weight_decay=decay), variables()
        made.exclude_from_weight_decay(var_list=some)
        ends.append(follow(made, some, 3))
    assert_equal(ends[1], ends[0], 0.0, "ask self._use_weight_decay(variable)")


def accumulates(subject: Subject) -> None:
    """Two gradients accumulated are one step on their mean."""
    some, others = variables(), variables()
    twice, once = subject.new(gradient_accumulation_steps=2), subject.new()
    for step in range(0, 8, 2):
        pair = slopes(START, step), slopes(START, step + 1)
        for one in pair:
            twice.apply([ops.cast(part, "float32") for part in one], some)
        mean = [(a + b) / 2 for a, b in zip(*pair, strict=True)]
        once.apply([ops.cast(part, "float32") for part in mean], others)
    assert_equal(values(some), values(others), 1e-5, "use self.iterations, not _iterations")


def skips_missing_gradients(subject: Subject) -> None:
    """A variable without gradient stays, with a warning that names it."""
    some = variables()
    before = values(some)
    made = subject.new()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made.apply([ops.ones((3, 3)), None], some)
    require(any("Gradients do not exist" in str(one.message) for one in told), "nothing was said")
    require((values(some)[1] == before[1]).all(), "it moved")


def refuses_unknown_variables(subject: Subject) -> None:
    """Asked to update variables that it was not built for, it raises a ValueError."""
    made = subject.new()
    made.build(variables())
    try:
        made.apply([ops.ones(one.shape) for one in START], variables())
    except ValueError:
        return
    raise AssertionError("it updated variables that it does not know")
