"""What wrappers share: one optimizer inside another, of which the outer one is seen."""

from typing import Any

import keras

from optimizers.rule import Stepwise, checked, require_all

# Arguments of every optimizer of Keras that work on gradients and weights as a whole:
# the outer optimizer does what the inner one was asked for.
AROUND = (
    "weight_decay",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class Wrapper(Stepwise):
    """Any optimizer that updates variable by variable, with something around its update.

    The learning rate, the count of steps and the arguments of the inner optimizer
    (clipping, averages, weight decay and its exclusions, ...) hold for both.
    """

    def __init__(self, inner: Any, own: dict[str, Any], name: str | None = None) -> None:
        """Keep the arguments.

        Args:
            inner: a new optimizer, or one's name or configuration as for
                keras.optimizers.get.
            own: arguments of this wrapper, with the bounds of a rule's.
            name: of the optimizer.

        Raises:
            ValueError: where a number is outside of its range; for an inner optimizer
                that has been used, or that holds others.

        """
        inner = keras.optimizers.get(inner)
        wraps = (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
        if inner.built or isinstance(inner, wraps):
            state = "that was built" if inner.built else "that holds others"
            raise ValueError(
                f"Received the {type(inner).__name__} {inner.name!r} {state}; expected a new "
                "optimizer with an update of its own. Make one here, and wrap this one instead."
            )
        require_all(own)
        rate = inner._learning_rate
        if isinstance(rate, keras.Variable):
            rate = float(keras.ops.convert_to_numpy(rate))
        super().__init__(checked(rate), name=name, **{key: getattr(inner, key) for key in AROUND})
        self._own = own
        for argument, value in own.items():
            setattr(self, argument, value)
        self.inner = inner
        # Of both there is one: what the inner one made for itself stays unused.
        self._unused = {id(inner._iterations), id(inner._learning_rate)}
        inner._iterations, inner._learning_rate = self._iterations, self._learning_rate

    def build(self, variables: list[Any]) -> None:
        """Slots of both."""
        if self.built:
            return
        super().build(variables)
        inner = self.inner
        asked = inner.use_ema, inner.gradient_accumulation_steps
        inner.use_ema = inner.gradient_accumulation_steps = None  # the outer one's arrays do
        inner.build(variables)
        inner.use_ema, inner.gradient_accumulation_steps = asked

    @property
    def variables(self) -> list[Any]:
        """Of both."""
        outer = super().variables
        known = self._unused | {id(one) for one in outer}
        return outer + [one for one in self.inner.variables if id(one) not in known]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner optimizer's."""
        self.inner.update_step(gradient, variable, learning_rate)

    def moved(self, variable: Any, change: Any) -> None:
        """Tell the inner optimizer."""
        if isinstance(self.inner, Stepwise):
            self.inner.moved(variable, change)

    def begin_step(self) -> None:
        """Tell the inner optimizer."""
        if isinstance(self.inner, Stepwise):
            self.inner.begin_step()

    def end_step(self) -> None:
        """Tell the inner optimizer."""
        if isinstance(self.inner, Stepwise):
            self.inner.end_step()

    def finalize_variable_values(self, var_list: Any) -> None:
        """Called by `fit` at its end: the averages of either, where it keeps some."""
        super().finalize_variable_values(var_list)
        if isinstance(self.inner, Wrapper):
            self.inner.finalize_variable_values(var_list)

    @property
    def innermost(self) -> Any:
        """The optimizer that wraps none."""
        return self.inner.innermost if isinstance(self.inner, Wrapper) else self.inner

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        if any(map(self.inner._use_weight_decay, variables)):
            self.inner._apply_weight_decay(variables)

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """As the inner optimizer's."""
        self.inner.exclude_from_weight_decay(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        inner = keras.optimizers.serialize(self.inner)
        return {"inner": inner, "name": self.name} | self._own

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Wrapper":
        """A new one of the same arguments."""
        inner = keras.optimizers.deserialize(config["inner"], custom_objects=custom_objects)
        return cls(**config | {"inner": inner})
