"""Stochastic gradient descent with Nesterov's momentum."""

from typing import Any

import keras

from optimizers.rule import Stepwise, checked


@keras.saving.register_keras_serializable("athanor")
class Nesterov(Stepwise, keras.optimizers.SGD):
    """SGD that looks ahead along its own velocity.

        v <- mu v - eta g
        w <- w + mu v - eta g

    Choose it for small convolutional networks with batch normalisation and a
    falling learning rate: it needs less arithmetic and memory a step than Adam and
    ends at least as well there. Keras's `SGD` is the same rule, but its defaults are
    without momentum. Keeps one array a variable.

    Args:
        learning_rate: eta, a float or a schedule.
        momentum: mu; 0.9 as in the paper's experiments.
        **kwargs: as for keras.optimizers.SGD.

    Raises:
        ValueError: for a learning rate below 0, or NaN.

    References:
        Sutskever et al., On the importance of initialization and momentum in
        deep learning, ICML 2013, equations 3 and 4.

    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(
            checked(learning_rate), **{**kwargs, "momentum": momentum, "nesterov": True}
        )
