"""AdaBelief: Adam with the variance of the gradient in place of its square."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class AdaBelief(Rule):
    """Adam that divides by the variance of the gradient around its moving average.

        m <- beta_1 m + (1 - beta_1) g
        s <- beta_2 s + (1 - beta_2) (g - m)^2 + epsilon
        w <- w - eta (m / (1 - beta_1^t)) / (sqrt(s / (1 - beta_2^t)) + epsilon)

    Choose it if Adam trains fast but SGD reaches a better result: where gradients agree,
    its steps are large, like those of SGD with momentum. Stores two arrays per variable,
    as Adam does.

    Args:
        learning_rate: eta; 0.001 as in the paper.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the variance; from the paper.
        epsilon: 1e-16 as in the authors' code; a larger value (1e-8) makes steps smaller
            where gradients hardly vary.
        **kwargs: Arguments of keras.optimizers.Optimizer.

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
        hyperparameters = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 2 to one variable."""
        momentum, belief = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        # m <- beta_1 m + (1 - beta_1) g
        m = moving_average(momentum, g, self.beta_1)
        # s <- beta_2 s + (1 - beta_2) (g - m)^2 + epsilon
        s = moving_average(belief, ops.square(g - m), self.beta_2) + self.epsilon
        self.assign(momentum, m)
        self.assign(belief, s)
        m_hat = m / self.cast(self.bias_correction(self.beta_1), variable)
        s_hat = s / self.cast(self.bias_correction(self.beta_2), variable)
        # w <- w - eta m_hat / (sqrt(s_hat) + epsilon)
        self.assign_sub(variable, eta * m_hat / (ops.sqrt(s_hat) + self.epsilon))
