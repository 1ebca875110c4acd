"""Adan: Adam with Nesterov momentum, computed from differences of gradients."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class Adan(Rule):
    """Adam with Nesterov momentum, estimated from the change of the gradient.

        m <- beta_1 m + (1 - beta_1) g
        d <- beta_2 d + (1 - beta_2) (g - g_previous)
        n <- beta_3 n + (1 - beta_3) (g + beta_2 (g - g_previous))^2
        w <- w - eta (m_hat + beta_2 d_hat) / (sqrt(n_hat) + epsilon)

    where m_hat, d_hat and n_hat are m, d and n divided by 1 - beta^t, and g - g_previous is zero
    in the first step. The betas are 1 - beta of the paper, as in the authors' code. Choose it
    for large models and large batches: the paper needs fewer epochs than with AdamW.
    Stores four arrays per variable, two more than Adam.

    Args:
        learning_rate: eta; 0.001 as in the authors' code.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the average of their differences; from the paper.
        beta_3: Decay rate of the average of squares; from the paper.
        epsilon: 1e-8 as in the paper.
        weight_decay: lambda. Divides the variable by 1 + eta lambda after the step
            (the paper's proximal form); Keras's own decay comes before the step.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    References:
        Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
        Deep Models, TPAMI 2024, algorithm 1.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "difference", "velocity", "previous_gradient")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.98,
        beta_2: float = 0.92,
        beta_3: float = 0.99,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "beta_3": beta_3, "epsilon": epsilon}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 1 to one variable."""
        momentum, difference, velocity, previous = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        change = self.cast(self.iterations > 0, variable) * (g - previous)
        # m <- beta_1 m + (1 - beta_1) g
        m = moving_average(momentum, g, self.beta_1)
        # d <- beta_2 d + (1 - beta_2) (g - g_previous)
        d = moving_average(difference, change, self.beta_2)
        # n <- beta_3 n + (1 - beta_3) (g + beta_2 (g - g_previous))^2
        n = moving_average(velocity, ops.square(g + self.beta_2 * change), self.beta_3)
        for slot, value in ((momentum, m), (difference, d), (velocity, n), (previous, g)):
            self.assign(slot, value)
        n_hat = n / self.cast(self.bias_correction(self.beta_3), variable)
        # w <- w - eta (m_hat + beta_2 d_hat) / (sqrt(n_hat) + epsilon)
        scale_m = eta / self.cast(self.bias_correction(self.beta_1), variable)
        scale_d = eta * self.beta_2 / self.cast(self.bias_correction(self.beta_2), variable)
        step = (scale_m * m + scale_d * d) / (ops.sqrt(n_hat) + self.epsilon)
        if decay := self.weight_decay_of(variable):
            # w <- (w - eta ...) / (1 + eta lambda), as a difference: 1 + eta lambda is rounded.
            shrinkage = eta * decay / (1 + eta * decay)
            step = step + shrinkage * (variable - step)
        self.assign_sub(variable, step)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Do nothing: `update_step` applies the decay after the step."""
