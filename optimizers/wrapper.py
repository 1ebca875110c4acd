"""Base class of optimizers that wrap another optimizer."""

from typing import Any

import keras

from optimizers.rule import HookedOptimizer, require_valid, validated_learning_rate

# Arguments of every Keras optimizer that concern all gradients and weights at once:
# the wrapper takes them over from the inner optimizer.
DELEGATED_ARGUMENTS = (
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


class Wrapper(HookedOptimizer):
    """Optimizer that changes the update of another, inner optimizer.

    Both share the learning rate, the step counter and the arguments of the inner optimizer
    (clipping, EMA, weight decay and its exclusions, ...).
    """

    def __init__(
        self, inner: Any, hyperparameters: dict[str, Any], name: str | None = None
    ) -> None:
        """Store the arguments.

        Args:
            inner: A new optimizer, or a name or configuration for keras.optimizers.get.
            hyperparameters: Arguments of this wrapper, with the ranges of a Rule's.
            name: Name of the optimizer.

        Raises:
            ValueError: If a number is outside of its range, or if the inner optimizer was
                built already or holds other optimizers.

        """
        inner = keras.optimizers.get(inner)
        containers = (keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
        if inner.built or isinstance(inner, containers):
            state = "that was built" if inner.built else "that holds others"
            raise ValueError(
                f"Received the {type(inner).__name__} {inner.name!r} {state}; expected a new "
                "optimizer with an update of its own. Make one here, and wrap this one instead."
            )
        require_valid(hyperparameters)
        learning_rate = inner._learning_rate
        if isinstance(learning_rate, keras.Variable):
            learning_rate = float(keras.ops.convert_to_numpy(learning_rate))
        super().__init__(
            validated_learning_rate(learning_rate),
            name=name,
            **{key: getattr(inner, key) for key in DELEGATED_ARGUMENTS},
        )
        self._hyperparameters = hyperparameters
        for argument, value in hyperparameters.items():
            setattr(self, argument, value)
        self.inner = inner
        # Both use the variables of the wrapper; those that the inner optimizer made stay unused.
        self._unused = {id(inner._iterations), id(inner._learning_rate)}
        inner._iterations, inner._learning_rate = self._iterations, self._learning_rate

    def build(self, variables: list[Any]) -> None:
        """Create the slots of both optimizers."""
        if self.built:
            return
        super().build(variables)
        inner = self.inner
        settings = inner.use_ema, inner.gradient_accumulation_steps
        inner.use_ema = inner.gradient_accumulation_steps = None  # the wrapper has these arrays
        inner.build(variables)
        inner.use_ema, inner.gradient_accumulation_steps = settings

    @property
    def variables(self) -> list[Any]:
        """Variables of both optimizers."""
        outer = super().variables
        known = self._unused | {id(one) for one in outer}
        return outer + [one for one in self.inner.variables if id(one) not in known]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply the inner optimizer's update."""
        self.inner.update_step(gradient, variable, learning_rate)

    def on_external_update(self, variable: Any, change: Any) -> None:
        """Forward to the inner optimizer."""
        if isinstance(self.inner, HookedOptimizer):
            self.inner.on_external_update(variable, change)

    def on_step_begin(self) -> None:
        """Forward to the inner optimizer."""
        if isinstance(self.inner, HookedOptimizer):
            self.inner.on_step_begin()

    def on_step_end(self) -> None:
        """Forward to the inner optimizer."""
        if isinstance(self.inner, HookedOptimizer):
            self.inner.on_step_end()

    def finalize_variable_values(self, var_list: Any) -> None:
        """Called at the end of `fit`: put averaged weights into the variables."""
        super().finalize_variable_values(var_list)
        if isinstance(self.inner, Wrapper):
            self.inner.finalize_variable_values(var_list)

    @property
    def innermost(self) -> Any:
        """The innermost optimizer, which is no wrapper."""
        return self.inner.innermost if isinstance(self.inner, Wrapper) else self.inner

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        if any(map(self.inner._use_weight_decay, variables)):
            self.inner._apply_weight_decay(variables)

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """Forward to the inner optimizer."""
        self.inner.exclude_from_weight_decay(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        inner = keras.optimizers.serialize(self.inner)
        return {"inner": inner, "name": self.name} | self._hyperparameters

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Wrapper":
        """Make an optimizer from its configuration."""
        inner = keras.optimizers.deserialize(config["inner"], custom_objects=custom_objects)
        return cls(**config | {"inner": inner})
