"""NovoGrad: gradients normalised per layer."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class NovoGrad(Rule):
    """Momentum over gradients that are divided by a moving average of their norm.

        v <- beta_2 v + (1 - beta_2) ||g||^2       (||g||^2 in the first step)
        m <- beta_1 m + g / (sqrt(v) + epsilon) + lambda w
        w <- w - eta m

    Choose it for long training with large batches, above all on speech and images, or if memory
    is short: it stores half as much as Adam. Stores one array and one number per variable.

    Args:
        learning_rate: eta; 0.01 is in the range that the paper uses for images and speech.
        beta_1: Decay rate of the momentum; from the paper.
        beta_2: Decay rate of the squared norms; 0.98 as in the authors' code.
        epsilon: 1e-8; the paper names none.
        weight_decay: lambda, inside the momentum as in the paper.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    References:
        Ginsburg et al., Stochastic Gradient Methods with Layer-wise Adaptive Moments
        for Training of Deep Networks, 2019, algorithm 1.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum",)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        beta_1: float = 0.95,
        beta_2: float = 0.98,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Create the slots and the average squared gradient norm of each variable."""
        if self.built:
            return
        super().build(variables)
        self._norms = [
            self.add_variable((), dtype="float32", name=f"norm_{index}")
            for index in range(len(variables))
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 1 to one variable."""
        (momentum,), norm = self.state(variable), self._norms[self._get_variable_index(variable)]
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        squared_norm = ops.sum(ops.square(ops.cast(g, "float32")))
        # v <- beta_2 v + (1 - beta_2) ||g||^2
        v = ops.where(
            self.iterations > 0, moving_average(norm, squared_norm, self.beta_2), squared_norm
        )
        self.assign(norm, v)
        # m <- beta_1 m + g / (sqrt(v) + epsilon) + lambda w
        m = self.beta_1 * momentum + g / self.cast(ops.sqrt(v) + self.epsilon, variable)
        if decay := self.weight_decay_of(variable):
            m = m + decay * variable
        self.assign(momentum, m)
        # w <- w - eta m
        self.assign_sub(variable, eta * m)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Do nothing: `update_step` adds the decay to the momentum."""
