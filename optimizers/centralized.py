"""Gradient centralisation: gradients of layers without their mean."""

from typing import Any

import keras
from keras import ops

from optimizers.dense_gradients import is_in_parts
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class CentralizedGradient(Wrapper):
    """Takes the mean off the gradient of every unit's weights.

        g <- g - mean of g over all axes but the last        (kernels alone)

    before the inner optimizer sees it; so the sum of a unit's incoming weights stays
    what it was. The mean of a depthwise kernel [..., channels, multiplier] is over a channel's own
    weights; that of a transposed convolution [..., units, inputs] over all axes but the last but
    one. Both are known by their path or, with a last axis of 1, by their shape. A table of
    embeddings, whose gradient comes in rows or whose name is `embeddings`, has no units and stays
    as it is. Choose it for convolutional networks that are trained from scratch.
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

    def build(self, variables: list[Any]) -> None:
        """The axes of the means."""
        if self.built:
            return
        super().build(variables)
        self._axes = [_axes_of_inputs(one) for one in variables]

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        # Here alone a table is known by its gradient, whatever its name is.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if is_in_parts(gradient):
                self._axes[self._get_variable_index(variable)] = ()
        super()._backend_apply_gradients(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner step on the centred gradient."""
        axes = self._axes[self._get_variable_index(variable)]
        if axes:
            gradient = gradient - ops.mean(gradient, axis=axes, keepdims=True)
        super().update_step(gradient, variable, learning_rate)


def _axes_of_inputs(variable: Any) -> tuple[int, ...]:
    """The axes of a unit's incoming weights; none where a variable is no kernel."""
    rank, path = len(variable.shape), getattr(variable, "path", variable.name)
    if rank < 2 or path.rpartition("/")[2] == "embeddings":
        return ()
    axes = range(rank)
    if rank > 2 and ("depthwise" in path or variable.shape[-1] == 1):
        return tuple(axes[:-2])
    return tuple(axes[:-2]) + ((rank - 1,) if rank > 2 and "transpose" in path else (rank - 2,))
