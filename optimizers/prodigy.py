"""Prodigy: Adam that estimates its own learning rate."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class Prodigy(Rule):
    """Adam whose learning rate is an estimate of the distance from start to solution.

        m <- beta_1 m + (1 - beta_1) d g
        v <- beta_2 v + (1 - beta_2) d^2 g^2
        r <- beta r + eta d^2 <g, w_0 - w>             with beta = sqrt(beta_2)
        s <- beta s + eta d^2 g
        w <- w - eta d m / (sqrt(v) + d epsilon)
        d <- max(d, r / |s|_1)                         over all variables

    r and s are stored divided by d0^2, and w_0 - w as a sum of steps; this changes only the
    range and the rounding of numbers. Choose it if there is no time to tune a learning rate:
    leave `learning_rate` at 1, or pass a schedule that decays from 1 to 0.
    Stores four arrays and two numbers per variable.

    Args:
        learning_rate: eta, a factor of the estimate; 1 as in the paper.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the average of squares; from the paper.
        epsilon: 1e-8 as in the authors' code.
        d0: d before the first step; 1e-6 as in the paper.
        weight_decay: lambda. Subtracts eta d lambda w in each step, as the authors' code does.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    References:
        Mishchenko and Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free
        Learner, ICML 2024, algorithm 4.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity", "gradient_sum", "displacement")

    def __init__(
        self,
        learning_rate: Any = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        d0: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "d0": d0}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Create the slots, d, and each variable's part of r and of |s|_1."""
        if self.built:
            return
        super().build(variables)
        self._distance = self._scalar("distance", self.d0)
        self._numerators = [self._scalar(f"numerator_{index}") for index in range(len(variables))]
        self._denominators = [
            self._scalar(f"denominator_{index}") for index in range(len(variables))
        ]

    def _scalar(self, name: str, value: float = 0.0) -> Any:
        return self.add_variable(
            (),
            keras.initializers.Constant(value),
            "float32",
            name=name,
            aggregation="only_first_replica",
        )

    @property
    def distance(self) -> Any:
        """Current estimate d: a float32 variable of shape ()."""
        return self._distance

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 4 to one variable, with d of the previous step."""
        momentum, velocity, gradient_sum, displacement = self.state(variable)
        index = self._get_variable_index(variable)
        numerator, denominator = self._numerators[index], self._denominators[index]
        g, eta = self.cast(gradient, variable), ops.cast(learning_rate, "float32")
        d, beta = self.distance, math.sqrt(self.beta_2)
        weight = eta * ops.square(d / self.d0)
        inner_product = ops.sum(ops.cast(g, "float32") * ops.cast(displacement, "float32"))
        # r <- beta r + eta d^2 <g, w_0 - w>
        self.assign(numerator, beta * numerator + weight * inner_product)
        # s <- beta s + eta d^2 g
        s = beta * gradient_sum + self.cast(weight, variable) * g
        self.assign(gradient_sum, s)
        self.assign(denominator, ops.sum(ops.abs(ops.cast(s, "float32"))))
        d = self.cast(d, variable)
        # m <- beta_1 m + (1 - beta_1) d g
        m = moving_average(momentum, d * g, self.beta_1)
        # v <- beta_2 v + (1 - beta_2) d^2 g^2
        v = moving_average(velocity, ops.square(d * g), self.beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        # w <- w - eta d (m / (sqrt(v) + d epsilon) + lambda w)
        step = m / (ops.sqrt(v) + d * self.epsilon)
        if decay := self.weight_decay_of(variable):
            step = step + decay * variable
        step = self.cast(eta, variable) * d * step
        self.assign_add(displacement, step)
        self.assign_sub(variable, step)

    def on_external_update(self, variable: Any, change: Any) -> None:
        """Include a wrapper's change of w in w_0 - w, which would be too large otherwise."""
        (*_, displacement) = self.state(variable)
        self.assign_sub(displacement, change)

    def on_step_end(self) -> None:
        """Update the estimate from all variables."""
        super().on_step_end()
        numerator = sum(map(ops.convert_to_tensor, self._numerators))
        denominator = sum(map(ops.convert_to_tensor, self._denominators))
        # d <- max(d, r / |s|_1)
        estimate = numerator / ops.maximum(denominator, 1e-30)
        self.assign(self._distance, ops.maximum(self.distance, estimate))

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Do nothing: `update_step` applies the decay, scaled by d."""
