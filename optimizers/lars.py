"""LARS: a learning rate for every layer, from its norm and its gradient's."""

from typing import Any, ClassVar

import keras
from keras import ops

from optimizers.rule import Rule


@keras.saving.register_keras_serializable("athanor")
class LARS(Rule):
    """SGD with momentum whose steps are a fixed share of each layer's norm.

        s = trust ||w|| / (||g|| + lambda ||w||)      (1 where a norm is zero)
        v <- mu v + eta s (g + lambda w)
        w <- w - v

    Vectors (biases, scales) have s = 1 and no decay, which the paper leaves open.
    Choose it for convolutional networks in batches of thousands. Keeps one array a
    variable.

    Args:
        learning_rate: eta, the global rate; large, 1 to 10 with a warm-up, for it is
            multiplied by `trust`.
        momentum: mu; the paper's.
        trust: the paper's eta of 0.001.
        weight_decay: lambda, within the norm as in the paper.
        **kwargs: as for keras.optimizers.Optimizer.

    References:
        You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks,
        2017, equations 4 to 6 and algorithm 1.

    """

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __init__(
        self,
        learning_rate: Any = 1.0,
        momentum: float = 0.9,
        trust: float = 0.001,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, {"momentum": momentum, "trust": trust}, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Algorithm 1, for one variable."""
        (velocity,) = self.state(variable)
        g, eta = self.cast(gradient, variable), self.cast(learning_rate, variable)
        if len(variable.shape) > 1:
            decay = self.decay(variable)
            weight, slope = (_norm(variable), _norm(g))
            # s = trust ||w|| / (||g|| + lambda ||w||)
            known = ops.logical_and(weight > 0, slope > 0)
            share = self.trust * weight / ops.where(known, slope + decay * weight, 1.0)
            eta = eta * self.cast(ops.where(known, share, 1.0), variable)
            g = g + decay * variable
        # v <- mu v + eta s (g + lambda w)
        v = self.momentum * velocity + eta * g
        self.assign(velocity, v)
        # w <- w - v
        self.assign_sub(variable, v)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Not before the step: `update_step` does it, within the gradient."""


def _norm(value: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(ops.cast(value, "float32"))))
