"""Prodigy: Adam that finds its own learning rate."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class Prodigy(Rule):
    """Adam whose step is an estimate of the distance from the start to a solution.

        m <- beta_1 m + (1 - beta_1) d g
        v <- beta_2 v + (1 - beta_2) d^2 g^2
        r <- beta r + eta d^2 <g, w_0 - w>             with beta = sqrt(beta_2)
        s <- beta s + eta d^2 g
        w <- w - eta d m / (sqrt(v) + d epsilon)
        d <- max(d, r / |s|_1)                         over all variables together

    r and s are kept divided by initial^2, and w_0 - w as a sum of steps: nothing but the
    range and the rounding of numbers change. Choose it where there is no time to tune a
    learning rate: leave `learning_rate` at 1, or give a schedule that falls from 1 to 0.
    Keeps four arrays and two numbers a variable.

    Args:
        learning_rate: eta, a factor of the estimate; 1, the paper's.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the average of squares; the paper's.
        epsilon: 1e-8, that of the authors' code.
        initial: d before the first step; 1e-6, the paper's.
        weight_decay: lambda; takes eta d lambda w off in each step, as the authors' code.
        **kwargs: as for keras.optimizers.Optimizer.

    References:
        Mishchenko and Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free
        Learner, ICML 2024, algorithm 4.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity", "drift", "back")

    def __init__(
        self,
        learning_rate: Any = 1.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        initial: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "initial": initial}
        super().__init__(learning_rate, own, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Slots; d, and every variable's part of r and of |s|_1."""
        if self.built:
            return
        super().build(variables)
        self._distance = self._scalar("distance", self.initial)
        self._gains = [self._scalar(f"gain_{place}") for place in range(len(variables))]
        self._spans = [self._scalar(f"span_{place}") for place in range(len(variables))]

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
        """d, the estimate so far: a float32 variable of shape ()."""
        return self._distance

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 4 for one variable, with d of the step before."""
        momentum, velocity, drift, back = self.state(variable)
        place = self._get_variable_index(variable)
        gain, span = self._gains[place], self._spans[place]
        g, eta = self.cast(gradient, variable), ops.cast(learning_rate, "float32")
        d, beta = self.distance, math.sqrt(self.beta_2)
        weight = eta * ops.square(d / self.initial)
        along = ops.sum(ops.cast(g, "float32") * ops.cast(back, "float32"))
        # r <- beta r + eta d^2 <g, w_0 - w>
        self.assign(gain, beta * gain + weight * along)
        # s <- beta s + eta d^2 g
        s = beta * drift + self.cast(weight, variable) * g
        self.assign(drift, s)
        self.assign(span, ops.sum(ops.abs(ops.cast(s, "float32"))))
        d = self.cast(d, variable)
        # m <- beta_1 m + (1 - beta_1) d g
        m = average(momentum, d * g, self.beta_1)
        # v <- beta_2 v + (1 - beta_2) d^2 g^2
        v = average(velocity, ops.square(d * g), self.beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        # w <- w - eta d (m / (sqrt(v) + d epsilon) + lambda w)
        step = m / (ops.sqrt(v) + d * self.epsilon)
        if decay := self.decay(variable):
            step = step + decay * variable
        step = self.cast(eta, variable) * d * step
        self.assign_add(back, step)
        self.assign_sub(variable, step)

    def moved(self, variable: Any, change: Any) -> None:
        """Another step of w, which w_0 - w has to know: it would be believed too far away."""
        (*_, back) = self.state(variable)
        self.assign_sub(back, change)

    def end_step(self) -> None:
        """The new estimate, of all variables together."""
        super().end_step()
        gain, span = (sum(map(ops.convert_to_tensor, some)) for some in (self._gains, self._spans))
        # d <- max(d, r / |s|_1)
        found = gain / ops.maximum(span, 1e-30)
        self.assign(self._distance, ops.maximum(self.distance, found))

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Not before the step: `update_step` does it, with d."""
