"""AdaBelief: steps by the belief in the gradient."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class AdaBelief(Rule):
    """Adam that divides by how far gradients stray from their own average.

        m <- beta_1 m + (1 - beta_1) g
        s <- beta_2 s + (1 - beta_2) (g - m)^2 + epsilon
        w <- w - eta (m / (1 - beta_1^t)) / (sqrt(s / (1 - beta_2^t)) + epsilon)

    Choose it where Adam trains fast but SGD ends better: along a direction in which
    gradients agree it steps far, as SGD with momentum does. Keeps two arrays a
    variable, as Adam.

    Args:
        learning_rate: eta; 0.001, the paper's.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the average of squared strays; the paper's.
        epsilon: 1e-16, that of the authors' code; larger ones (1e-8) step less far
            where gradients are very steady.
        **kwargs: as for keras.optimizers.Optimizer.

    References:
        Zhuang et al., AdaBelief Optimizer: Adapting Stepsizes by the Belief in
        Observed Gradients, NeurIPS 2020, algorithm 2.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "belief")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-16,
        **kwargs: Any,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(learning_rate, own, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 2, for one variable."""
        momentum, belief = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        # m <- beta_1 m + (1 - beta_1) g
        m = average(momentum, g, self.beta_1)
        # s <- beta_2 s + (1 - beta_2) (g - m)^2 + epsilon
        s = average(belief, ops.square(g - m), self.beta_2) + self.epsilon
        self.assign(momentum, m)
        self.assign(belief, s)
        m_hat = m / self.cast(self.seen(self.beta_1), variable)
        s_hat = s / self.cast(self.seen(self.beta_2), variable)
        # w <- w - eta m_hat / (sqrt(s_hat) + epsilon)
        self.assign_sub(variable, eta * m_hat / (ops.sqrt(s_hat) + self.epsilon))
