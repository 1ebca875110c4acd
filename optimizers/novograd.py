"""NovoGrad: gradients normalised layer by layer."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule, average


@keras.saving.register_keras_serializable("athanor")
class NovoGrad(Rule):
    """Momentum over gradients that are divided by the norm of their layer.

        v <- beta_2 v + (1 - beta_2) ||g||^2       (||g||^2 in the first step)
        m <- beta_1 m + g / (sqrt(v) + epsilon) + lambda w
        w <- w - eta m

    Choose it for long trainings with large batches, of speech and pictures above all,
    or where memory is short: it keeps half of what Adam does. Keeps one array and one
    number a variable.

    Args:
        learning_rate: eta; 0.01, within what the paper uses for pictures and speech.
        beta_1: of the momentum; the paper's.
        beta_2: of the squared norms; 0.98, as in the authors' code.
        epsilon: 1e-8; the paper names none.
        weight_decay: lambda, within the momentum as in the paper.
        **kwargs: as for keras.optimizers.Optimizer.

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
        own = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(learning_rate, own, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Slots, and the average squared norm of each variable's gradient."""
        if self.built:
            return
        super().build(variables)
        self._norms = [
            self.add_variable((), dtype="float32", name=f"norm_{place}")
            for place in range(len(variables))
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 1, for one variable."""
        (momentum,), norm = self.state(variable), self._norms[self._get_variable_index(variable)]
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        square = ops.sum(ops.square(ops.cast(g, "float32")))
        # v <- beta_2 v + (1 - beta_2) ||g||^2
        v = ops.where(self.iterations > 0, average(norm, square, self.beta_2), square)
        self.assign(norm, v)
        # m <- beta_1 m + g / (sqrt(v) + epsilon) + lambda w
        m = self.beta_1 * momentum + g / self.cast(ops.sqrt(v) + self.epsilon, variable)
        if decay := self.decay(variable):
            m = m + decay * variable
        self.assign(momentum, m)
        # w <- w - eta m
        self.assign_sub(variable, eta * m)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Not before the step: `update_step` does it, within the momentum."""
