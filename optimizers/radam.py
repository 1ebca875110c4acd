"""RAdam: Adam with a warmup derived from the variance of its learning rate."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, moving_average


@keras.saving.register_keras_serializable("athanor")
class RAdam(Rule):
    """Adam whose first steps are reduced by the uncertainty of their divisor.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        rho_inf = 2 / (1 - beta_2) - 1
        rho = rho_inf - 2 t beta_2^t / (1 - beta_2^t)
        r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        w <- w - eta r m_hat / (sqrt(v_hat) + epsilon)    if rho >= threshold
        w <- w - eta m_hat                                otherwise

    where m_hat and v_hat are m and v divided by 1 - beta^t. Choose it in place of Adam to train
    without a warmup of the learning rate. Stores two arrays per variable.

    Args:
        learning_rate: eta; 0.001 as in the paper and in Adam.
        beta_1: Decay rate of the average of gradients; from the paper.
        beta_2: Decay rate of the average of squares; from the paper.
        epsilon: 1e-8 as in the authors' code.
        threshold: 5 as in the authors' code; the paper has 4, the smallest rho with a defined
            variance.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    Raises:
        ValueError: If a number is outside of its range; the threshold starts at 4.

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
        hyperparameters = {
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": epsilon,
            "threshold": threshold,
        }
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 2 to one variable."""
        momentum, velocity = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        # m <- beta_1 m + (1 - beta_1) g
        m = moving_average(momentum, g, self.beta_1)
        # v <- beta_2 v + (1 - beta_2) g^2
        v = moving_average(velocity, ops.square(g), self.beta_2)
        self.assign(momentum, m)
        self.assign(velocity, v)
        v_hat = v / self.cast(self.bias_correction(self.beta_2), variable)
        rho, r = self.cached_per_step("rectification", self._rectification)
        eta = eta / self.cast(self.bias_correction(self.beta_1), variable)
        # w <- w - eta r m_hat / (sqrt(v_hat) + epsilon), or w - eta m_hat
        scale = self.cast(r, variable) / (ops.sqrt(v_hat) + self.epsilon)
        self.assign_sub(variable, eta * m * ops.where(rho >= self.threshold, scale, 1.0))

    def _rectification(self) -> tuple[Any, Any]:
        """Return rho and r, float32."""
        rho_inf = 2 / (1 - self.beta_2) - 1
        if rho_inf <= self.threshold:
            return ops.zeros(()), ops.zeros(())  # Rho never reaches it.
        # rho = rho_inf - 2 t beta_2^t / (1 - beta_2^t) subtracts two nearly equal numbers of some
        # thousands at first. With x = t s, s = -ln beta_2, the second number is
        # 2 / s (1 - x / 2 + remainder(x)); Python computes all but the remainder in float64.
        s, t = -math.log(self.beta_2), self.step_number
        rho = rho_inf - 2 / s + t - 2 / s * _remainder(t * s)
        # r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
        defined_rho = ops.maximum(rho, 4.0)
        ratio = (defined_rho - 4) * (defined_rho - 2) / defined_rho
        return rho, ops.sqrt(ratio * (rho_inf / ((rho_inf - 4) * (rho_inf - 2))))


def _remainder(x: Any) -> Any:
    """Compute x / (e^x - 1) - 1 + x / 2; for x < 1 by its series with Bernoulli numbers."""
    square = ops.square(ops.minimum(x, 1.0))
    series = square / 12 * (1 - square / 60 * (1 - square / 42 * (1 - square / 40)))
    return ops.where(x < 1, series, x / ops.expm1(ops.maximum(x, 1.0)) - 1 + x / 2)
