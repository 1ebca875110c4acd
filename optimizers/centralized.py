"""Gradient centralisation: gradients of layers without their mean."""

from typing import Any

import keras
from keras import ops

from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class CentralizedGradient(Wrapper):
    """Takes the mean off the gradient of every unit's weights.

        g <- g - mean of g over all axes but the last        (kernels alone)

    before the inner optimizer sees it; so the sum of a unit's incoming weights stays
    what it was. Choose it for convolutional networks that are trained from scratch.
    Keeps no arrays a variable beside the inner optimizer's.

    Args:
        inner: a new optimizer; any of ours or of Keras's that updates variable by
            variable.
        name: of the optimizer.

    References:
        Yong et al., Gradient Centralization: A New Optimization Technique for Deep
        Neural Networks, ECCV 2020, equation 1.

    """

    def __init__(self, inner: Any = "adam", name: str | None = None) -> None:
        super().__init__(inner, {}, name)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner step on the centred gradient."""
        if len(variable.shape) > 1:
            # Also dense: the mean of an embedding's gradient is over all its rows.
            gradient = ops.add(gradient, 0.0)
            axes = tuple(range(len(variable.shape) - 1))
            gradient = gradient - ops.mean(gradient, axis=axes, keepdims=True)
        super().update_step(gradient, variable, learning_rate)
