"""RAdam: Adam with a warm-up that follows from its own variance."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class RAdam(Rule):
    """Adam whose first steps are damped as far as their divisor is uncertain.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        rho_inf = 2 / (1 - beta_2) - 1
        rho = rho_inf - 2 t beta_2^t / (1 - beta_2^t)
        r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        w <- w - eta r m_hat / (sqrt(v_hat) + epsilon)    where rho >= threshold
        w <- w - eta m_hat                                before that

    with m_hat and v_hat divided by 1 - beta^t. Choose it in place of Adam where no
    warm-up of the learning rate is planned. Keeps two arrays a variable.

    Args:
        learning_rate: eta; 0.001, as the paper's and Adam's.
        beta_1: of the average of gradients; the paper's.
        beta_2: of the average of squares; the paper's.
        epsilon: 1e-8, that of the authors' code.
        threshold: 5, that of the authors' code; the paper has 4, above which the
            variance is defined at all.
        **kwargs: as for keras.optimizers.Optimizer.

    Raises:
        ValueError: for numbers outside of their range; a threshold below 4.

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, ICLR
        2020, algorithm 2.

    """

    slots: ClassVar[tuple[str, ...]] = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        threshold: float = 5.0,
        **kwargs: Any,
    ) -> None:
        if not threshold >= 4:
            raise ValueError(f"Received threshold={threshold!r}; expected a number from 4.")
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "threshold": threshold}
        super().__init__(learning_rate, own, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 2, for one variable."""
        momentum, velocity = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        # m <- beta_1 m + (1 - beta_1) g
        m = average(momentum, g, self.beta_1)
        # v <- beta_2 v + (1 - beta_2) g^2
        v = average(velocity, ops.square(g), self.beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        v_hat = v / self.cast(self.seen(self.beta_2), variable)
        rho, r = self.once("rectification", self._rectification)
        eta = eta / self.cast(self.seen(self.beta_1), variable)
        # w <- w - eta r m_hat / (sqrt(v_hat) + epsilon), or w - eta m_hat
        share = self.cast(r, variable) / (ops.sqrt(v_hat) + self.epsilon)
        self.assign_sub(variable, eta * m * ops.where(rho >= self.threshold, share, 1.0))

    def _rectification(self) -> tuple[Any, Any]:
        """Rho and r, float32."""
        rho_inf = 2 / (1 - self.beta_2) - 1
        if rho_inf <= self.threshold:
            return ops.zeros(()), ops.zeros(())  # Rho stays below.
        # rho = rho_inf - 2 t beta_2^t / (1 - beta_2^t), whose two terms of thousands are
        # nearly equal at first: with x = t s, s = -ln beta_2, the second is
        # 2 / s (1 - x / 2 + bend(x)), of which all but the bend is left to Python.
        slope = -math.log(self.beta_2)
        rho = rho_inf - 2 / slope + self.step - 2 / slope * _bend(self.step * slope)
        # r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        known = ops.maximum(rho, 4.0)
        ratio = (known - 4) * (known - 2) / known
        return rho, ops.sqrt(ratio * (rho_inf / ((rho_inf - 4) * (rho_inf - 2))))


def _bend(x: Any) -> Any:
    """X / (e^x - 1) - 1 + x / 2, below 1 by its series with the Bernoulli numbers."""
    square = ops.square(ops.minimum(x, 1.0))
    series = square / 12 * (1 - square / 60 * (1 - square / 42 * (1 - square / 40)))
    return ops.where(x < 1, series, x / ops.expm1(ops.maximum(x, 1.0)) - 1 + x / 2)
