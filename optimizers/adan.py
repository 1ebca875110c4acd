"""Adan: Adam with Nesterov's momentum, from the differences of gradients."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class Adan(Rule):
    """Adaptive Nesterov momentum: looks ahead by how the gradient changes.

        m <- beta_1 m + (1 - beta_1) g
        d <- beta_2 d + (1 - beta_2) (g - g_before)
        n <- beta_3 n + (1 - beta_3) (g + beta_2 (g - g_before))^2
        w <- w - eta (m_hat + beta_2 d_hat) / (sqrt(n_hat) + epsilon)

    with m_hat, d_hat, n_hat the same divided by 1 - beta^t, and g - g_before zero in the first
    step. The betas here are 1 - beta of the paper, as in the authors' code. Choose it
    for large models and large batches, where the paper needs fewer epochs than AdamW.
    Keeps four arrays a variable, two more than Adam.

    Args:
        learning_rate: eta; 0.001, that of the authors' code.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the average of their differences; the paper's.
        beta_3: of the average of squares; the paper's.
        epsilon: 1e-8, the paper's.
        weight_decay: lambda; divides the variable by 1 + eta lambda after the step
            (the paper's proximal form), not before it as Keras's own.
        **kwargs: as for keras.optimizers.Optimizer.

    References:
        Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing
        Deep Models, TPAMI 2024, algorithm 1.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "difference", "velocity", "before")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.98,
        beta_2: float = 0.92,
        beta_3: float = 0.99,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "beta_3": beta_3, "epsilon": epsilon}
        super().__init__(learning_rate, own, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 1, for one variable."""
        momentum, difference, velocity, before = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        change = self.cast(self.iterations > 0, variable) * (g - before)
        # m <- beta_1 m + (1 - beta_1) g
        m = average(momentum, g, self.beta_1)
        # d <- beta_2 d + (1 - beta_2) (g - g_before)
        d = average(difference, change, self.beta_2)
        # n <- beta_3 n + (1 - beta_3) (g + beta_2 (g - g_before))^2
        n = average(velocity, ops.square(g + self.beta_2 * change), self.beta_3)
        for slot, value in ((momentum, m), (difference, d), (velocity, n), (before, g)):
            self.assign(slot, value)
        n_hat = n / self.cast(self.seen(self.beta_3), variable)
        # w <- w - eta (m_hat + beta_2 d_hat) / (sqrt(n_hat) + epsilon)
        ahead = eta / self.cast(self.seen(self.beta_1), variable)
        change = eta * self.beta_2 / self.cast(self.seen(self.beta_2), variable)
        step = (ahead * m + change * d) / (ops.sqrt(n_hat) + self.epsilon)
        if decay := self.decay(variable):
            # w <- (w - eta ...) / (1 + eta lambda), as a difference: 1 + eta lambda is rounded.
            share = eta * decay / (1 + eta * decay)
            step = step + share * (variable - step)
        self.assign_sub(variable, step)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Not before the step: `update_step` does it, after."""
