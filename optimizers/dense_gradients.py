"""Dense embedding gradients, for every optimizer."""

from typing import Any

import keras
from keras import ops

PACKAGE = "athanor.keras"  # registration name of the classes made here, in saved files


class DenseGradients(keras.optimizers.Optimizer):
    """Optimizer that converts sparse gradients to dense ones before clipping and updating.

    The gradient of an embedding has one part per lookup of a row. Keras's rules square each
    part: the second moment of a word that occurs n times in a batch is up to n times too small.
    A dense gradient holds one sum per row. The conversion comes before the sum over replicas,
    so that their rows are not repeated either.
    """

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        # Every step calls this, also without clipping.
        return super()._clip_gradients([_to_dense(gradient) for gradient in grads])


def is_sparse(gradient: Any) -> bool:
    """Whether a gradient is sparse (tf.IndexedSlices)."""
    return hasattr(gradient, "dense_shape")


def _to_dense(gradient: Any) -> Any:
    return ops.add(gradient, 0.0) if is_sparse(gradient) else gradient


def with_dense_gradients(optimizer: type) -> type:
    """Return a subclass of a Keras optimizer, of the same name, that uses dense gradients."""
    name = optimizer.__name__
    if registered := keras.saving.get_registered_object(f"{PACKAGE}>{name}"):
        return registered
    attributes = {"__doc__": optimizer.__doc__, "__module__": __name__}
    subclass = type(name, (DenseGradients, optimizer), attributes)
    return keras.saving.register_keras_serializable(PACKAGE, name)(subclass)
