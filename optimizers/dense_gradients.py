"""Gradients of embeddings as the sum of their parts, for every optimizer."""

from typing import Any

import keras
from keras import ops

PACKAGE = "athanor.keras"  # under which files know the classes that are made here


class DenseGradients(keras.optimizers.Optimizer):
    """An optimizer whose rule and clipping see the sum of a repeated row's parts.

    The gradient of an embedding comes in parts, one for each time that a row was looked up.
    Keras's rules square each part: a word that occurs n times in a batch then gets up to n times
    too small a second moment. A dense gradient has one sum a row. It is made before replicas
    are added up, so that their rows are not repeated either.
    """

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        # Each step comes here, whether or not it clips.
        return super()._clip_gradients([_dense(one) for one in grads])


def is_in_parts(gradient: Any) -> bool:
    """Whether a gradient comes in parts, each of a row."""
    return hasattr(gradient, "dense_shape")


def _dense(gradient: Any) -> Any:
    return ops.add(gradient, 0.0) if is_in_parts(gradient) else gradient


def with_dense_gradients(optimizer: type) -> type:
    """A class of Keras's, of the same name and arguments, with dense gradients."""
    name = optimizer.__name__
    if known := keras.saving.get_registered_object(f"{PACKAGE}>{name}"):
        return known
    about = {"__doc__": optimizer.__doc__, "__module__": __name__}
    made = type(name, (DenseGradients, optimizer), about)
    return keras.saving.register_keras_serializable(PACKAGE, name)(made)
