"""Base classes of the optimizers: checked arguments, named slots, exact bias correction."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from keras import ops

from optimizers.dense_gradients import DenseGradients


class HookedOptimizer(DenseGradients):
    """Optimizer with hooks before and after each step."""

    def on_step_begin(self) -> None:
        """Called before the variables of a step are updated."""

    def on_step_end(self) -> None:
        """Called after all variables of a step were updated."""

    def on_external_update(self, variable: Any, change: Any) -> None:
        """Called after a wrapper added `change` to a variable."""

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        self.on_step_begin()
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self.on_step_end()

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        # Keras's own method fails on PyTorch if all variables are excluded.
        if any(map(self._use_weight_decay, variables)):
            super()._apply_weight_decay(variables)


class Rule(HookedOptimizer):
    """Update rule written with `keras.ops`, applied variable by variable.

    A subclass names its slots, passes its hyperparameters to `__init__` and follows its
    paper in `update_step`. It works on every Keras backend.

    Attributes:
        slots: Names of the arrays stored per variable, of its shape and dtype. They start
            at zero unless `initializer` returns another initializer.

    """

    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: Any, hyperparameters: dict[str, Any], **kwargs: Any) -> None:
        """Store the arguments.

        Args:
            learning_rate: A float from 0, a schedule, or a callable that returns a float.
            hyperparameters: Arguments of this rule, by name. Decay rates (names that begin
                with `beta` or `momentum`) lie in [0, 1); other numbers are finite, from 0.
            **kwargs: Arguments of keras.optimizers.Optimizer: weight_decay, clipnorm,
                clipvalue, global_clipnorm, use_ema, gradient_accumulation_steps, ...

        Raises:
            ValueError: If a number is outside of its range.

        """
        require_valid(hyperparameters)
        require_in_range("weight_decay", kwargs.get("weight_decay") or 0.0)
        super().__init__(learning_rate=validated_learning_rate(learning_rate), **kwargs)
        self._hyperparameters = hyperparameters
        self._step_cache: dict[str, Any] | None = None  # of cached_per_step; None between steps
        for name, value in hyperparameters.items():
            setattr(self, name, value)

    def build(self, variables: list[Any]) -> None:
        """Create the slots and look up the weight decay of each variable."""
        if self.built:
            return
        super().build(variables)
        self._slots = {
            name: self.add_optimizer_variables(variables, name, self.initializer(name))
            for name in self.slots
        }
        decay = self.weight_decay or 0.0
        self._decays = [decay if self._use_weight_decay(v) else 0.0 for v in variables]

    def initializer(self, slot: str) -> Any:  # noqa: ARG002
        """Return the initializer of a slot.

        An assignment in `build` would be repeated by every step of a graph.
        """
        return "zeros"

    def on_step_begin(self) -> None:
        """Start an empty cache."""
        self._step_cache = {}

    def on_step_end(self) -> None:
        """Discard the cache."""
        self._step_cache = None

    def state(self, variable: Any) -> list[Any]:
        """Return the slots of a variable, in the order of `slots`."""
        index = self._get_variable_index(variable)
        return [self._slots[name][index] for name in self.slots]

    def weight_decay_of(self, variable: Any) -> float:
        """Return a variable's weight decay, 0 if excluded; for rules that apply it themselves."""
        return self._decays[self._get_variable_index(variable)]

    def cast(self, value: Any, variable: Any) -> Any:
        """Cast a number or a gradient to the variable's dtype."""
        return ops.cast(value, variable.dtype)

    @property
    def step_number(self) -> Any:
        """Number of this update, t in the papers, from 1; float32."""
        return ops.cast(self.iterations + 1, "float32")

    def bias_correction(self, beta: float, skipped_steps: int = 0) -> Any:
        """Return 1 - beta^t, the divisor of a moving average that starts at zero; float32.

        It uses expm1, since 1 - 0.999 in float32 is wrong in the fifth digit. `skipped_steps` is
        the number of steps before the first value of the average.
        """
        if not beta:
            return ops.ones((), "float32")
        return self.cached_per_step(
            f"bias_correction {beta} {skipped_steps}",
            lambda: -ops.expm1((self.step_number - skipped_steps) * math.log(beta)),
        )

    def cached_per_step(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return the result of `compute`, which runs once per step for all variables."""
        if self._step_cache is None:
            return compute()
        if name not in self._step_cache:
            self._step_cache[name] = compute()
        return self._step_cache[name]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | self._hyperparameters


def moving_average(old: Any, new: Any, beta: float) -> Any:
    """Compute beta old + (1 - beta) new as a step from old towards new.

    In float32 the sum of 0.98 and 0.02 is off by 2e-8; over fifty averaged steps this error
    grows fiftyfold.
    """
    return old + (1 - beta) * (new - old)


def select(condition: Any, one: Any, other: Any) -> Any:
    """Select between two tensors or variables; JAX's jit forbids variables in `ops.where`."""
    return ops.where(condition, ops.convert_to_tensor(one), ops.convert_to_tensor(other))


def validated_learning_rate(learning_rate: Any) -> Any:
    """Return the learning rate, an int as float. Raises ValueError if it is negative or NaN."""
    if not isinstance(learning_rate, int | float):
        return learning_rate
    require_in_range("learning_rate", learning_rate)
    return float(learning_rate)


def require_valid(hyperparameters: dict[str, Any]) -> None:
    """Raise ValueError for a decay rate (`beta...`, `momentum`) from 1, or a negative number."""
    for name, value in hyperparameters.items():
        require_in_range(name, value, 1.0 if name.startswith(("beta", "momentum")) else math.inf)


def require_in_range(name: str, value: Any, below: float = math.inf) -> None:
    """Raise ValueError unless 0 <= value < below."""
    if not 0 <= value < below:
        expected = f"0 <= {name} < {below:g}" if below < math.inf else "a finite number from 0"
        raise ValueError(f"Received {name}={value!r}; expected {expected}.")
