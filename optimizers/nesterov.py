"""Stochastic gradient descent with Nesterov momentum."""

from typing import Any

import keras

from optimizers.rule import HookedOptimizer, validated_learning_rate


@keras.saving.register_keras_serializable("athanor")
class Nesterov(HookedOptimizer, keras.optimizers.SGD):
    """SGD with Nesterov momentum 0.9 by default.

        v <- mu v - eta g
        w <- w + mu v - eta g

    Choose it for small convolutional networks with batch normalization and a decaying
    learning rate: a step needs less arithmetic and memory than with Adam, and the result is
    at least as good there. Keras's `SGD` is the same rule, without momentum by default.
    Stores one array per variable.

    Args:
        learning_rate: eta, a float or a schedule.
        momentum: mu; 0.9 as in the paper's experiments.
        **kwargs: Arguments of keras.optimizers.SGD.

    Raises:
        ValueError: If the learning rate is negative or NaN.

    References:
        Sutskever et al., On the importance of initialization and momentum in
        deep learning, ICML 2013, equations 3 and 4.

    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(
            validated_learning_rate(learning_rate),
            **{**kwargs, "momentum": momentum, "nesterov": True},
        )
