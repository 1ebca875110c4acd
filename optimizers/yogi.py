"""Yogi: Adam whose second moment changes by bounded additions."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class Yogi(Rule):
    """Adam whose second moment moves towards each squared gradient by a bounded amount.

        m <- beta_1 m + (1 - beta_1) g
        v <- v - (1 - beta_2) sign(v - g^2) g^2
        w <- w - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Choose it for gradients that are sparse or occasionally huge, such as those of embeddings
    of rare words: Adam forgets a large square within 1 / (1 - beta_2) steps, and its steps
    become too large. The divisions by 1 - beta^t are not in the paper's algorithm; they
    come from Adam, as in optax. Stores two arrays per variable.

    Args:
        learning_rate: eta; 0.01 as in the paper.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the second moment; from the paper.
        epsilon: 0.001 as in the paper.
        initial_accumulator_value: v before the first step; 1e-6 as in optax. The paper takes the
            squared gradient of a first large batch.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    References:
        Zaheer et al., Adaptive Methods for Nonconvex Optimization, NeurIPS 2018,
        algorithm 2.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-3,
        initial_accumulator_value: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        hyperparameters |= {"initial_accumulator_value": initial_accumulator_value}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def initializer(self, slot: str) -> Any:
        """Start v at `initial_accumulator_value`."""
        if slot == "velocity":
            return keras.initializers.Constant(self.initial_accumulator_value)
        return "zeros"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 2 to one variable."""
        momentum, velocity = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        square = ops.square(g)
        # m <- beta_1 m + (1 - beta_1) g
        m = moving_average(momentum, g, self.beta_1)
        # v <- v - (1 - beta_2) sign(v - g^2) g^2
        v = velocity - (1 - self.beta_2) * ops.sign(velocity - square) * square
        self.assign(momentum, m)
        self.assign(velocity, v)
        m_hat = m / self.cast(self.bias_correction(self.beta_1), variable)
        v_hat = v / self.cast(self.bias_correction(self.beta_2), variable)
        # w <- w - eta m_hat / (sqrt(v_hat) + epsilon)
        self.assign_sub(variable, eta * m_hat / (ops.sqrt(v_hat) + self.epsilon))
