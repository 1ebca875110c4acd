"""Yogi: Adam whose divisor grows and shrinks by additions."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class Yogi(Rule):
    """Adam whose average of squares moves towards each square by a bounded amount.

        m <- beta_1 m + (1 - beta_1) g
        v <- v - (1 - beta_2) sign(v - g^2) g^2
        w <- w - eta (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Choose it where gradients are sparse or now and then huge, such as of embeddings
    of rare words: Adam forgets a large square within 1 / (1 - beta_2) steps and then
    steps too far. The divisions by 1 - beta^t are not in the paper's algorithm; they
    are those of Adam, as in optax. Keeps two arrays a variable.

    Args:
        learning_rate: eta; 0.01, the paper's.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the squares; the paper's.
        epsilon: 0.001, the paper's.
        initial: of v before the first step; 1e-6, as in optax. The paper takes the
            squared gradient of a first large batch.
        **kwargs: as for keras.optimizers.Optimizer.

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
        initial: float = 1e-6,
        **kwargs: Any,
    ) -> None:
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "initial": initial}
        super().__init__(learning_rate, own, **kwargs)

    def initializer(self, slot: str) -> Any:
        """V begins with `initial`."""
        return keras.initializers.Constant(self.initial) if slot == "velocity" else "zeros"

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 2, for one variable."""
        momentum, velocity = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        square = ops.square(g)
        # m <- beta_1 m + (1 - beta_1) g
        m = average(momentum, g, self.beta_1)
        # v <- v - (1 - beta_2) sign(v - g^2) g^2
        v = velocity - (1 - self.beta_2) * ops.sign(velocity - square) * square
        self.assign(momentum, m)
        self.assign(velocity, v)
        m_hat = m / self.cast(self.seen(self.beta_1), variable)
        v_hat = v / self.cast(self.seen(self.beta_2), variable)
        # w <- w - eta m_hat / (sqrt(v_hat) + epsilon)
        self.assign_sub(variable, eta * m_hat / (ops.sqrt(v_hat) + self.epsilon))
