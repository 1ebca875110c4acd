"""Gradient centralization: subtract the mean from the gradient of each unit."""

from typing import Any

import keras
from keras import ops

from optimizers.dense_gradients import is_sparse
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class CentralizedGradient(Wrapper):
    """Wrapper that subtracts the mean from the gradient of each unit's weights.

        g <- g - mean of g over all axes but the last        (kernels only)

    The inner optimizer receives the centred gradient, so the sum of a unit's incoming weights
    stays constant. For a depthwise kernel [..., channels, multiplier] the mean is over the
    weights of one channel; for a transposed convolution [..., units, inputs] it is over all axes
    except the second to last. Both kinds are recognised by their path or, if the last axis has
    size 1, by their shape. Embedding tables (sparse gradient, or the name `embeddings`) have no
    units and stay unchanged. Choose it for convolutional networks that are trained from scratch.
    Stores no arrays per variable of its own.

    Args:
        inner: A new optimizer of this package or of Keras that updates variable by variable.
        name: Name of the optimizer.

    References:
        Yong et al., Gradient Centralization: A New Optimization Technique for Deep
        Neural Networks, ECCV 2020, equation 1.

    """

    def __init__(self, inner: Any = "adam", name: str | None = None) -> None:
        super().__init__(inner, {}, name)

    def build(self, variables: list[Any]) -> None:
        """Create the slots and determine the axes of the means."""
        if self.built:
            return
        super().build(variables)
        self._axes = [_axes_of_inputs(variable) for variable in variables]

    def _backend_apply_gradients(self, grads: Any, trainable_variables: Any) -> None:
        # A sparse gradient belongs to an embedding table; clipping makes it dense after this.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if is_sparse(gradient):
                self._axes[self._get_variable_index(variable)] = ()
        super()._backend_apply_gradients(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply the inner step to the centred gradient."""
        axes = self._axes[self._get_variable_index(variable)]
        if axes:
            gradient = gradient - ops.mean(gradient, axis=axes, keepdims=True)
        super().update_step(gradient, variable, learning_rate)


def _axes_of_inputs(variable: Any) -> tuple[int, ...]:
    """Return the axes of a unit's incoming weights; none if the variable is no kernel."""
    rank, path = len(variable.shape), getattr(variable, "path", variable.name)
    if rank < 2 or path.rpartition("/")[2] == "embeddings":
        return ()
    axes = range(rank)
    if rank > 2 and ("depthwise" in path or variable.shape[-1] == 1):
        return tuple(axes[:-2])
    return tuple(axes[:-2]) + ((rank - 1,) if rank > 2 and "transpose" in path else (rank - 2,))
