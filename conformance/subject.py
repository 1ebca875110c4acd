"""The optimizer under test, and the gradients for its steps."""

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
# JAX always compiles with XLA; on other backends XLA takes longer to compile than it saves.
JIT_COMPILE = BACKEND == "jax"
LEARNING_RATES = (0.01, 0.1, 1.0, 0.001)

_RANDOM = np.random.default_rng(0)
INPUTS, TARGETS = _RANDOM.normal(size=(5, 8, 3)), _RANDOM.normal(size=(5, 8, 3))  # five batches
START = [_RANDOM.uniform(-1, 1, shape).astype("float32") for shape in ((3, 3), 3)]


class SubjectError(ValueError):
    """Raised for an address that names no optimizer."""

    exit_status = 2


@dataclasses.dataclass(frozen=True)
class Subject:
    """An optimizer under test.

    Attributes:
        name: Name of its class.
        make: Makes an optimizer from a learning rate and arguments of keras.optimizers.Optimizer.
        learning_rate: A learning rate at which its steps are large enough to compare.
        reference: The same rule in NumPy, see conformance.references; None without one.
        address: Address for another process: a name or package.module:Class.

    """

    name: str
    make: Callable[..., keras.optimizers.Optimizer]
    learning_rate: float = 0.01
    reference: Callable[..., list[np.ndarray]] | None = None
    address: str = ""

    def new(self, **kwargs: Any) -> keras.optimizers.Optimizer:
        """Make an optimizer with this subject's learning rate."""
        return self.make(self.learning_rate, **kwargs)


def find_subject(address: str) -> Subject:
    """Find an optimizer by its address: `package.module:MyOptimizer` or a name.

    Raises SubjectError if the address names no optimizer.
    """
    if ":" not in address:
        return from_class(_class_by_name(address))
    module, _, name = address.partition(":")
    try:
        cls = getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's module may raise anything
        raise SubjectError(
            f"Received the optimizer {address!r}; expected package.module:Class of a module "
            f"that can be imported here ({type(error).__name__}: {error})."
        ) from error
    base = keras.optimizers.Optimizer
    if not (inspect.isclass(cls) and issubclass(cls, base) and cls is not base):
        raise SubjectError(
            f"Received {address!r}, which is no optimizer; expected a subclass of "
            "keras.optimizers.Optimizer."
        )
    return _require_constructible(dataclasses.replace(from_class(cls), address=address))


def _require_constructible(subject: Subject) -> Subject:
    try:
        subject.new()
    except Exception as error:
        raise SubjectError(
            f"Received {subject.address!r}, which cannot be made with {subject.name}(learning_rate="
            f"{subject.learning_rate}): {error}; expected a class that takes the arguments of "
            "keras.optimizers.Optimizer, and defaults for all others."
        ) from error
    return subject


def _class_by_name(name: str) -> type:
    try:
        return type(optimizers.get(name, 0.01))
    except optimizers.UnknownOptimizerError as error:
        raise SubjectError(f"{error} Or package.module:Class of your own.") from error


def from_class(cls: type) -> Subject:
    """Make the subject of a class that takes `learning_rate`; our wrappers wrap SGD."""
    name = cls.__name__
    functions = vars(references_of_keras) | vars(references)
    known = {base for known_class in optimizers.names().values() for base in known_class.__mro__}
    reference = functions.get(name.lower()) if cls in known else None
    if cls in optimizers.WRAPPERS:
        wrap = lambda rate, **kwargs: cls(keras.optimizers.SGD(rate, **kwargs))  # noqa: E731
        return Subject(name, wrap, 0.1, reference, name.lower())
    rate = 1.0 if name in ("LARS", "Prodigy", "Adadelta") else 0.01
    make = lambda rate, **kwargs: cls(learning_rate=rate, **kwargs)  # noqa: E731
    return Subject(name, make, rate, reference, name.lower())


def gradients_at(weights: list[Any], step: int) -> list[np.ndarray]:
    """Compute the gradients of a linear model's mean squared error on the batch of a step."""
    inputs, targets = INPUTS[step % 5], TARGETS[step % 5]
    matrix, vector = (np.asarray(weight, "float64") for weight in weights)
    error = inputs @ matrix + vector - targets
    return [inputs.T @ error / len(inputs), error.mean(0)]


def gradient_sequence() -> references.Gradient:
    """Return a function like `gradients_at` that uses the next batch at each call."""
    steps = itertools.count()
    return lambda weights: gradients_at(weights, next(steps))


def make_variables(start: list[np.ndarray] = START, dtype: str = "float32") -> list[keras.Variable]:
    """Make variables with these values."""
    return [keras.Variable(array, dtype=dtype) for array in start]


def values_of(weights: list[keras.Variable]) -> list[np.ndarray]:
    """Return the values of variables as float64 arrays."""
    arrays = (ops.convert_to_numpy(ops.cast(weight, "float32")) for weight in weights)
    return [array.astype("float64") for array in arrays]


def apply_steps(
    optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable], steps: int
) -> list[np.ndarray]:
    """Apply steps of `gradient_sequence` to variables and return their values."""
    gradient = gradient_sequence()
    apply = _compile_apply(optimizer, weights) if steps > 50 else optimizer.apply
    for _ in range(steps):
        gradients = gradient(values_of(weights))
        apply([ops.cast(part, weights[0].dtype) for part in gradients], weights)
    return values_of(weights)


def _compile_apply(optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable]) -> Any:
    """Compile `optimizer.apply`, which is several times faster on TensorFlow and JAX."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        # The first step runs `build`, which shows whether an optimizer assigns variables there.
        step = tf.function(lambda gradients: optimizer.apply(gradients, weights), autograph=False)
        return lambda gradients, _: step(gradients)
    return _compile_apply_jax(optimizer, weights) if BACKEND == "jax" else optimizer.apply


def _compile_apply_jax(optimizer: keras.optimizers.Optimizer, weights: list[keras.Variable]) -> Any:
    """Compile `stateless_apply` and assign its results."""
    import jax

    if not optimizer.built:
        optimizer.build(weights)
    step = jax.jit(optimizer.stateless_apply)

    def apply(gradients: list[Any], _: Any) -> None:
        variables = [*weights, *optimizer.variables]
        state = [variable.value for variable in optimizer.variables]
        new_weights, new_state = step(state, gradients, [weight.value for weight in weights])
        for variable, value in zip(variables, [*new_weights, *new_state], strict=True):
            variable.assign(value)

    return apply


def weights_after(optimizer: keras.optimizers.Optimizer, steps: int) -> list[np.ndarray]:
    """Return the weights after a number of steps from START."""
    return apply_steps(optimizer, make_variables(), steps)
