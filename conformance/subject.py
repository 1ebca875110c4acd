"""What is checked: an optimizer that can be made anew, and the steps that it is followed on."""

import dataclasses
import importlib
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

import optimizers
from conformance import references, references_of_keras

BACKEND = keras.backend.backend()
# A graph is XLA's on JAX; elsewhere XLA takes longer to compile than it saves.
BY_XLA = BACKEND == "jax"
RATES = (0.01, 0.1, 1.0, 0.001)

_RANDOM = np.random.default_rng(0)
INPUTS, TARGETS = _RANDOM.normal(size=(5, 8, 3)), _RANDOM.normal(size=(5, 8, 3))  # five batches
START = [_RANDOM.uniform(-1, 1, shape).astype("float32") for shape in ((3, 3), 3)]


class SubjectError(ValueError):
    """An address that names no optimizer."""

    exit_status = 2


@dataclasses.dataclass(frozen=True)
class Subject:
    """An optimizer under test.

    Attributes:
        name: as people know it.
        make: a new one, from a learning rate and arguments of keras.optimizers.Optimizer.
        rate: a learning rate at which it moves.
        twin: the same rule in NumPy, see conformance.references; None where there is none.
        address: by which another process finds it.

    """

    name: str
    make: Callable[..., keras.optimizers.Optimizer]
    rate: float = 0.01
    twin: Callable[..., list[np.ndarray]] | None = None
    address: str = ""

    def new(self, **kwargs: Any) -> keras.optimizers.Optimizer:
        """A new one, at its rate."""
        return self.make(self.rate, **kwargs)


def subject(address: str) -> Subject:
    """The optimizer of an address: `package.module:MyOptimizer`, or a name for optimizers.get.

    Raises SubjectError where there is none.
    """
    if ":" not in address:
        return of_class(_known(address))
    module, _, name = address.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a stranger's module may raise anything
        raise SubjectError(
            f"Received the optimizer {address!r}; expected package.module:Class of a module "
            f"that can be imported here ({type(error).__name__}: {error})."
        ) from error
    base = keras.optimizers.Optimizer
    if not (inspect.isclass(found) and issubclass(found, base) and found is not base):
        raise SubjectError(
            f"Received {address!r}, which is no optimizer; expected a subclass of "
            "keras.optimizers.Optimizer."
        )
    return _tried(dataclasses.replace(of_class(found), address=address))


def _tried(found: Subject) -> Subject:
    try:
        found.new()
    except Exception as error:
        raise SubjectError(
            f"Received {found.address!r}, which cannot be made by {found.name}(learning_rate="
            f"{found.rate}): {error}; expected a class that takes the arguments of "
            "keras.optimizers.Optimizer, others with defaults."
        ) from error
    return found


def _known(name: str) -> type:
    try:
        return type(optimizers.get(name, 0.01))
    except optimizers.UnknownOptimizerError as error:
        raise SubjectError(f"{error} Or package.module:Class of your own.") from error


def of_class(cls: type) -> Subject:
    """A class that takes `learning_rate`; one of our wrappers stands around gradient descent."""
    name = cls.__name__
    known = vars(references_of_keras) | vars(references)
    named = {base for one in optimizers.names().values() for base in one.__mro__}
    twin = known.get(name.lower()) if cls in named else None
    if cls in optimizers.WRAPPERS:
        around = lambda rate, **kwargs: cls(keras.optimizers.SGD(rate, **kwargs))  # noqa: E731
        return Subject(name, around, 0.1, twin, name.lower())
    rate = 1.0 if name in ("LARS", "Prodigy", "Adadelta") else 0.01
    make = lambda rate, **kwargs: cls(learning_rate=rate, **kwargs)  # noqa: E731
    return Subject(name, make, rate, twin, name.lower())


def slopes(weights: list[Any], step: int) -> list[np.ndarray]:
    """Gradients of the mean squared error of a linear model on the batch of a step."""
    inputs, targets = INPUTS[step % 5], TARGETS[step % 5]
    matrix, vector = (np.asarray(one, "float64") for one in weights)
    error = inputs @ matrix + vector - targets
    return [inputs.T @ error / len(inputs), error.mean(0)]


def walk() -> references.Gradient:
    """As `slopes`, of the next batch each time."""
    steps = itertools.count()
    return lambda weights: slopes(weights, next(steps))


def variables(start: list[np.ndarray] = START, dtype: str = "float32") -> list[keras.Variable]:
    """New variables."""
    return [keras.Variable(one, dtype=dtype) for one in start]


def values(some: list[keras.Variable]) -> list[np.ndarray]:
    """What variables hold, float64."""
    return [ops.convert_to_numpy(ops.cast(one, "float32")).astype("float64") for one in some]


def follow(
    optimizer: keras.optimizers.Optimizer, some: list[keras.Variable], steps: int
) -> list[np.ndarray]:
    """The weights after so many steps of `walk`."""
    gradient = walk()
    apply = _compiled(optimizer, some) if steps > 50 else optimizer.apply
    for _ in range(steps):
        apply([ops.cast(one, some[0].dtype) for one in gradient(values(some))], some)
    return values(some)


def _compiled(optimizer: keras.optimizers.Optimizer, some: list[keras.Variable]) -> Any:
    """Its `apply` as training runs it, several times as fast on TensorFlow and JAX."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        # Not built before: what its `build` assigns would be assigned by every step.
        step = tf.function(lambda gradients: optimizer.apply(gradients, some), autograph=False)
        return lambda gradients, _: step(gradients)
    return _without_state(optimizer, some) if BACKEND == "jax" else optimizer.apply


def _without_state(optimizer: keras.optimizers.Optimizer, some: list[keras.Variable]) -> Any:
    """Its `apply` as a function of all that it changes, compiled."""
    import jax

    if not optimizer.built:
        optimizer.build(some)
    step = jax.jit(optimizer.stateless_apply)

    def apply(gradients: list[Any], _: Any) -> None:
        state = [one.value for one in optimizer.variables]
        weights, state = step(state, gradients, [one.value for one in some])
        for variable, value in zip([*some, *optimizer.variables], [*weights, *state], strict=True):
            variable.assign(value)

    return apply


def followed(optimizer: keras.optimizers.Optimizer, steps: int) -> list[np.ndarray]:
    """The weights after so many steps from the start."""
    return follow(optimizer, variables(), steps)
