"""What our optimizers share: checked arguments, slots by name, exact bias correction."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

from keras import ops

from optimizers.dense_gradients import DenseGradients


class Stepwise(DenseGradients):
    """An optimizer that is told where a step begins and ends."""

    def begin_step(self) -> None:
        """Before the variables of a step are updated."""

    def end_step(self) -> None:
        """After all variables of a step were updated."""

    def moved(self, variable: Any, change: Any) -> None:
        """Take note that a wrapper added `change` to a variable, besides this one's own steps."""

    def _backend_update_step(
        self, grads: Any, trainable_variables: Any, learning_rate: Any
    ) -> None:
        self.begin_step()
        super()._backend_update_step(grads, trainable_variables, learning_rate)
        self.end_step()

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        # Keras's own fails on PyTorch where all variables are excluded.
        if any(map(self._use_weight_decay, variables)):
            super()._apply_weight_decay(variables)


class Rule(Stepwise):
    """An update rule over `keras.ops`, variable by variable.

    A subclass names its slots, hands its own arguments to `__init__` and follows its
    paper in `update_step`. It holds for any backend of Keras.

    Attributes:
        slots: names of the arrays that the rule keeps of each variable, of the same
            shape and dtype, zero at first unless `initializer` has it otherwise.

    """

    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: Any, own: dict[str, Any], **kwargs: Any) -> None:
        """Keep the arguments.

        Args:
            learning_rate: a float from 0, a schedule, or a callable that gives one.
            own: arguments of this rule. Shares (names with `beta`, and `momentum`) are
                from 0 and below 1; other numbers are finite and from 0.
            **kwargs: as for keras.optimizers.Optimizer: weight_decay, clipnorm,
                clipvalue, global_clipnorm, use_ema, gradient_accumulation_steps, ...

        Raises:
            ValueError: where a number is outside of its range.

        """
        require_all(own)
        require("weight_decay", kwargs.get("weight_decay") or 0.0)
        super().__init__(learning_rate=checked(learning_rate), **kwargs)
        self._own = own
        self._of_step: dict[str, Any] | None = None  # what `once` gave, during a step
        for name, value in own.items():
            setattr(self, name, value)

    def build(self, variables: list[Any]) -> None:
        """Slots of each variable; whether its weights decay."""
        if self.built:
            return
        super().build(variables)
        self._slots = {
            name: self.add_optimizer_variables(variables, name, self.initializer(name))
            for name in self.slots
        }
        decay = self.weight_decay or 0.0
        self._decays = [decay if self._use_weight_decay(one) else 0.0 for one in variables]

    def initializer(self, slot: str) -> Any:  # noqa: ARG002
        """Of a slot. An assignment in `build` would be repeated by every step of a graph."""
        return "zeros"

    def begin_step(self) -> None:
        """Nothing is known of it yet."""
        self._of_step = {}

    def end_step(self) -> None:
        """Forget what was computed once."""
        self._of_step = None

    def state(self, variable: Any) -> list[Any]:
        """The slots of a variable, in the order of `slots`."""
        place = self._get_variable_index(variable)
        return [self._slots[name][place] for name in self.slots]

    def decay(self, variable: Any) -> float:
        """Weight decay of a variable, 0 where it is excluded; for rules with a way of their own."""
        return self._decays[self._get_variable_index(variable)]

    def cast(self, value: Any, variable: Any) -> Any:
        """A number or a gradient in the variable's dtype."""
        return ops.cast(value, variable.dtype)

    @property
    def step(self) -> Any:
        """Number of this update, the papers' t, from 1; float32."""
        return ops.cast(self.iterations + 1, "float32")

    def seen(self, beta: float, skipped: int = 0) -> Any:
        """1 - beta^t, by which an average that began with zeros is too small; float32.

        By expm1: 1 - 0.999 in float32 is wrong in the fifth digit. An average that began
        after some steps has seen `skipped` fewer.
        """
        if not beta:
            return ops.ones((), "float32")
        return self.once(
            f"seen {beta} {skipped}", lambda: -ops.expm1((self.step - skipped) * math.log(beta))
        )

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """What `compute` gives, the same for all variables of a step."""
        if self._of_step is None:
            return compute()
        if name not in self._of_step:
            self._of_step[name] = compute()
        return self._of_step[name]

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | self._own


def average(old: Any, new: Any, beta: float) -> Any:
    """Beta old + (1 - beta) new, as a step from the old towards the new.

    In float32 the sum of 0.98 and of 0.02 is off by 2e-8, and what has been averaged
    over fifty steps by fifty times as much.
    """
    return old + (1 - beta) * (new - old)


def choose(condition: Any, one: Any, other: Any) -> Any:
    """One or the other, also of variables, which `ops.where` does not take under JAX's jit."""
    return ops.where(condition, ops.convert_to_tensor(one), ops.convert_to_tensor(other))


def checked(learning_rate: Any) -> Any:
    """The learning rate; a whole number as float. Raises ValueError for one below 0 or NaN."""
    if not isinstance(learning_rate, int | float):
        return learning_rate
    require("learning_rate", learning_rate)
    return float(learning_rate)


def require_all(own: dict[str, Any]) -> None:
    """Raise ValueError for a share (`beta...`, `momentum`) of 1, or for no finite number from 0."""
    for name, value in own.items():
        require(name, value, 1.0 if name.startswith(("beta", "momentum")) else math.inf)


def require(name: str, value: Any, below: float = math.inf) -> None:
    """Raise ValueError where a number is not from 0 and below another."""
    if not 0 <= value < below:
        expected = f"0 <= {name} < {below:g}" if below < math.inf else "a finite number from 0"
        raise ValueError(f"Received {name}={value!r}; expected {expected}.")
