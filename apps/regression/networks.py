"""Networks for rows, from `numbers` [batch, n] and `flags` [batch, f] to outputs.

Every network is an ensemble of k members, of one for a single network. It gives
[batch, k, outputs], and each member is trained by its own loss.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from apps.regression.ensemble_layers import Blend
from apps.regression.layers import (
    BatchEnsembleDense,
    EnsembleHeads,
    EnsembleMean,
    PiecewiseLinear,
    RandomFourier,
)
from apps.regression.matrices import RowMatrices
from apps.regression.shrinkage import LINEAR, ShrunkResidual
from apps.regression.trees import TreePart

MEMBERS, BLEND = "members", "blend"  # names of layers
NUM_MEMBERS = 8  # 16 took twice the time for 0.3 % less error
EMBEDDING_WIDTH = 12  # of a number
# Wide tables would take minutes. They get narrower embeddings; still wider ones get none, and
# the members' inputs are projected first.
MAX_EMBEDDED_COLUMNS, MAX_MEMBER_INPUTS = 512, 1536
PROJECTION_WIDTH = 128
NUM_FOURIER_FEATURES = 1024


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Hidden layers of one width, with their regularisation."""

    width: int
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def penalty(self) -> Any:
        """Return the kernel regularizer, or None."""
        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None

    def activate(self, x: Any) -> Any:
        """Apply ReLU and dropout; members drop the same units, since random numbers are slow."""
        x = keras.layers.ReLU()(x)
        if not self.dropout:
            return x
        shape = (None, 1, x.shape[-1]) if len(x.shape) == 3 else None
        return keras.layers.Dropout(self.dropout, noise_shape=shape)(x)

    def dense(self, x: Any) -> Any:
        """[..., any] -> [..., width]."""
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        layer = keras.layers.Dense(
            self.width, kernel_initializer=uniform, kernel_regularizer=self.penalty()
        )
        return self.activate(layer(x))


def linear(train: RowMatrices, outputs: int, hidden: Hidden) -> Any:
    """Return a linear model whose weights begin at zero."""
    inputs = train.inputs()
    layer = _linear_layer(outputs, hidden.penalty())
    return keras.Model(inputs, _one_member(layer(_concatenated(inputs))))


def fitted_linear(train: RowMatrices, outputs: int, weights: list[np.ndarray]) -> Any:
    """Return a linear model of these weights, which is not trained."""
    inputs = train.inputs()
    layer = _linear_layer(outputs, None)
    model = keras.Model(inputs, layer(_concatenated(inputs)))
    layer.set_weights(weights)
    layer.trainable = False
    return model


def has_too_many_columns(train: RowMatrices) -> bool:
    """Whether a table has so many columns that networks take long and learn little."""
    return train.width > max(MAX_MEMBER_INPUTS, len(train))


def random_fourier_svm(train: RowMatrices, outputs: int, hidden: Hidden) -> Any:
    """Return a linear model of random Fourier features, for the kernel exp(-|x - y|^2 / n)."""
    inputs = train.inputs()
    x = RandomFourier(NUM_FOURIER_FEATURES, 1 / max(1, train.width))(_concatenated(inputs))
    return keras.Model(inputs, _one_member(_linear_layer(outputs, hidden.penalty())(x)))


def perceptron(train: RowMatrices, outputs: int, hidden: Hidden) -> Any:
    """Two hidden layers over standardised numbers and flags."""
    inputs = train.inputs()
    x = hidden.dense(hidden.dense(_concatenated(inputs)))
    return keras.Model(inputs, _one_member(keras.layers.Dense(outputs)(x)))


def tabm(
    train: RowMatrices, outputs: int, hidden: Hidden, *, linear_weights: list[np.ndarray]
) -> Any:
    """Return a TabM-mini ensemble over piecewise-linear embeddings, which corrects a linear model.

    The linear model is not trained further. Outside training the correction is scaled by what
    validation supports (see apps.regression.shrinkage), so that predictions are no worse there
    than those of the linear model.

    Args:
        train: the training examples.
        outputs: 1 for numbers, else the number of classes.
        hidden: shape and regularisation of the members.
        linear_weights: kernel and bias of the linear model.

    """
    inputs = train.inputs()
    x = _embedded(train, inputs)
    if x.shape[-1] > MAX_MEMBER_INPUTS:
        x = keras.layers.Dense(PROJECTION_WIDTH, use_bias=False)(x)
    x = hidden.activate(BatchEnsembleDense(NUM_MEMBERS, hidden.width)(x))
    members = EnsembleHeads(outputs)(hidden.dense(hidden.dense(x)))
    linear_layer = _linear_layer(outputs, hidden.penalty())
    correction = ShrunkResidual()(members)
    # In this order: Keras 3.15 takes the second summand for a bias of the members if a batch
    # has as many examples as there are members, and adds it along the wrong axis.
    corrected = _one_member(linear_layer(_concatenated(inputs))) + correction
    linear_layer.set_weights(linear_weights)
    linear_layer.trainable = False
    return keras.Model(inputs, EnsembleMean(name=MEMBERS)(corrected))


def boosted(trees: TreePart, train: RowMatrices) -> Any:
    """Return fitted trees alone."""
    inputs = train.inputs()
    return keras.Model(inputs, _one_member(trees(inputs)))


def blend(network: Any, trees: TreePart, kernel: Any = None) -> Any:
    """Return a blend of the members of `tabm`, its linear model, boosted trees and kernels.

    For `network` a linear model alone will do.
    """
    parts = {"linear": network.get_layer(LINEAR).output, "boosted trees": trees(network.input)}
    if any(layer.name == MEMBERS for layer in network.layers):
        parts = {"networks": network.get_layer(MEMBERS).output[:, 0], **parts}
    if kernel is not None:
        parts["kernels"] = kernel(network.input)
    return keras.Model(network.input, Blend([*parts], name=BLEND)([*parts.values()]))


def _embedded(train: RowMatrices, inputs: dict[str, Any]) -> Any:
    """Embedded numbers and flags side by side, [batch, any]."""
    num_numbers, numbers = train.prepare.widths["numbers"], inputs["numbers"]
    if not num_numbers:
        return keras.layers.Concatenate()([inputs["flags"]])
    if num_numbers <= MAX_EMBEDDED_COLUMNS:
        width = max(1, min(EMBEDDING_WIDTH, MAX_MEMBER_INPUTS // num_numbers))
        numbers = PiecewiseLinear(train.bin_edges(), width)(numbers)
    return keras.layers.Concatenate()([numbers, inputs["flags"]])


def _concatenated(inputs: dict[str, Any]) -> Any:
    return keras.layers.Concatenate()([inputs["numbers"], inputs["flags"]])


def _linear_layer(outputs: int, penalty: Any) -> Any:
    return keras.layers.Dense(
        outputs, kernel_initializer="zeros", kernel_regularizer=penalty, name=LINEAR
    )


def _one_member(x: Any) -> Any:
    """[batch, outputs] -> [batch, 1, outputs]: an ensemble of one member."""
    return keras.layers.Reshape((1, x.shape[-1]))(x)
