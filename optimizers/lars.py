"""LARS: a learning rate per layer, from the norms of its weights and gradient."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule


@keras.saving.register_keras_serializable("athanor")
class LARS(Rule):
    """SGD with momentum whose step size is proportional to each layer's norm.

        s = trust_coefficient ||w|| / (||g|| + lambda ||w||)      (1 if a norm is zero)
        v <- mu v + eta s (g + lambda w)
        w <- w - v

    Vectors (biases, scales) have s = 1 and no decay, which the paper leaves open.
    Choose it for convolutional networks with batches of thousands. Stores one array per
    variable.

    Args:
        learning_rate: eta, the global learning rate. Use large values, 1 to 10 with a warmup:
            `trust_coefficient` scales it.
        momentum: mu; from the paper.
        trust_coefficient: The paper's eta of 0.001.
        weight_decay: lambda, inside the norm as in the paper.
        **kwargs: Arguments of keras.optimizers.Optimizer.

    References:
        You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks,
        2017, equations 4 to 6 and algorithm 1.

    """

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 1.0,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        **kwargs: Any,
    ) -> None:
        hyperparameters = {"momentum": momentum, "trust_coefficient": trust_coefficient}
        super().__init__(learning_rate, hyperparameters, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply algorithm 1 to one variable."""
        (velocity,) = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        if len(variable.shape) > 1:
            decay = self.weight_decay_of(variable)
            weight_norm, gradient_norm = _norm(variable), _norm(g)
            # s = trust_coefficient ||w|| / (||g|| + lambda ||w||)
            both_positive = ops.logical_and(weight_norm > 0, gradient_norm > 0)
            divisor = ops.where(both_positive, gradient_norm + decay * weight_norm, 1.0)
            ratio = self.trust_coefficient * weight_norm / divisor
            eta = eta * self.cast(ops.where(both_positive, ratio, 1.0), variable)
            g = g + decay * variable
        # v <- mu v + eta s (g + lambda w)
        v = self.momentum * velocity + eta * g
        self.assign(velocity, v)
        # w <- w - v
        self.assign_sub(variable, v)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Do nothing: `update_step` adds the decay to the gradient."""


def _norm(value: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(ops.cast(value, "float32"))))
