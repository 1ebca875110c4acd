"""Kernel ridge regression as a part of a network."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from apps.regression.kernels import (
    EXPONENT,
    MIN_CLASS_SHARE,
    SMOOTH_DISTANCE,
    KernelData,
    KernelFit,
    KernelOptions,
    choose_options,
    fit_kernel_ridge,
)
from apps.regression.layers import Ranks
from apps.regression.matrices import RowMatrices
from apps.regression.mixing import out_of_fold
from apps.regression.solvers import mean_and_deviation

KERNEL = "kernel"  # name of the layer
# Larger tables get no kernels: they take long, and trees and networks are as good there.
MAX_EXAMPLES = 5_000  # of training and validation
MAX_NUMBERS, MAX_FLAGS = 100, 1_000  # columns
MAX_NUMBER = 5.0  # a standardised number further from 0 counts as this one
MIN_BIN_WIDTH = 1e-3  # of ranks, in standard deviations
FLAG_DISTANCE = 12**0.5 / 2  # two categories differ as much as the highest and the lowest rank


@keras.saving.register_keras_serializable("athanor")
class KernelMachine(keras.layers.Layer):
    """Kernel ridge regression: `numbers` and `flags` -> [batch, outputs].

    The features of an example are its numbers, clipped, the ranks of its numbers, and its flags.
    The kernel of two examples falls with the sum of the differences of all features.

    Args:
        edges: of the bins of each number column, rising, by which ranks are interpolated.
        num_flags: width of `flags`.
        centers: number of training examples with a coefficient.
        outputs: numbers, or logits of classes.

    """

    def __init__(
        self, edges: list[list[float]], num_flags: int, centers: int, outputs: int, **kwargs: Any
    ) -> None:
        own = {"dtype": "float32", "trainable": False, "autocast": False}
        super().__init__(**own | kwargs)
        self.edges, self.num_flags = edges, num_flags
        self.num_centers, self.outputs = centers, outputs
        self.ranks = Ranks(edges)

    @classmethod
    def of(cls, model: Any) -> "KernelMachine | None":
        """Find the layer in a network, if it has one."""
        return next((layer for layer in model.layers if isinstance(layer, cls)), None)

    def build(self, shape: Any) -> None:  # noqa: ARG002
        """Create centers, coefficients and the line from predictions to outputs."""
        frozen: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        numbers = (2 * len(self.edges), self.num_centers)
        self.numbers = self.add_weight(shape=numbers, **frozen)
        self.flags = self.add_weight(shape=(self.num_flags, self.num_centers), **frozen)
        self.coefficients = self.add_weight(shape=(self.num_centers, self.outputs), **frozen)
        self.length = self.add_weight(shape=(), initializer="ones", trainable=False)
        self.bias = self.add_weight(shape=(self.outputs,), **frozen)
        self.built = True

    def call(self, inputs: dict[str, Any]) -> Any:
        """Sum the kernels of the centers, times their coefficients."""
        flags, centers = inputs["flags"], self.flags
        shared = ops.matmul(flags, centers)
        apart = ops.sum(flags, 1, keepdims=True) + ops.sum(centers, 0) - 2 * shared
        distances = FLAG_DISTANCE * apart
        # A column at a time: [batch, centers, columns] would not fit into memory.
        numbers = self.number_features(inputs["numbers"])
        for column in range(2 * len(self.edges)):
            distances = distances + ops.abs(numbers[:, column : column + 1] - self.numbers[column])
        scaled = distances / self.length + SMOOTH_DISTANCE  # see apps.regression.kernels.kernel
        kernels = ops.exp(SMOOTH_DISTANCE**EXPONENT - scaled**EXPONENT)
        return ops.matmul(kernels, self.coefficients) + self.bias

    def number_features(self, numbers: Any) -> Any:
        """[batch, n] -> [batch, 2 n]: the numbers and their ranks."""
        clipped = ops.clip(numbers, -MAX_NUMBER, MAX_NUMBER)
        return ops.concatenate([clipped, self.ranks.of(self.ranks.encode(numbers))], 1)

    def assign(self, fit: KernelFit) -> None:
        """Set the weights; centers that are not used get no coefficient."""
        centers, coefficients, options = fit
        spare = ((0, self.num_centers - centers.num_rows), (0, 0))
        numbers, flags = np.pad(centers.numbers, spare).T, np.pad(centers.flags, spare).T
        coefficients = np.pad(coefficients * options.logit_scale, spare)
        length = np.array(options.length)
        weights = [numbers, flags / FLAG_DISTANCE, coefficients, length, options.bias]
        self.set_weights([weight.astype("float32") for weight in weights])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {
            "edges": self.edges,
            "num_flags": self.num_flags,
            "centers": self.num_centers,
            "outputs": self.outputs,
        }


def fit_kernel(train: RowMatrices, valid: RowMatrices, num_classes: int) -> KernelMachine | None:
    """Fit a kernel machine to training examples; None for a table that is too large.

    There is room for the validation examples in its weights, see `refit_kernel`.
    """
    widths = train.prepare.widths
    count = len(train) + len(valid)
    if count > MAX_EXAMPLES or widths["numbers"] > MAX_NUMBERS or widths["flags"] > MAX_FLAGS:
        return None
    edges = [_apart(column) for column in train.bin_edges()] if widths["numbers"] else []
    layer = KernelMachine(edges, widths["flags"], count, num_classes or 1, name=KERNEL)
    layer.build(())
    data = _data_of(layer, train, train, num_classes)
    layer.assign(fit_kernel_ridge(data, _options(layer, train, num_classes)))
    return layer


def _apart(edges: list[float]) -> list[float]:
    """Leave out edges that are too close to the one before: ranks would magnify rounding."""
    kept = edges[:1]
    for edge in edges[1:]:
        if edge - kept[-1] >= MIN_BIN_WIDTH:
            kept.append(edge)
    return kept if len(kept) > 1 else [kept[0], kept[0] + 1]


def refit_kernel(
    layer: KernelMachine, train: RowMatrices, valid: RowMatrices, num_classes: int
) -> None:
    """Fit a kernel machine to training and validation examples together."""
    both = [_data_of(layer, part, train, num_classes) for part in (train, valid)]
    data = KernelData(*(np.concatenate(parts) for parts in zip(*both, strict=True)))
    layer.assign(fit_kernel_ridge(data, _options(layer, train, num_classes)))


def out_of_fold_kernels(
    layer: KernelMachine, train: RowMatrices, num_classes: int, fold: np.ndarray
) -> np.ndarray:
    """Return outputs for each training example, by a fit without its fold, [rows, outputs]."""
    data = _data_of(layer, train, train, num_classes)
    options = _options(layer, train, num_classes)

    def predict(others: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return fit_kernel_ridge(data.select(others), options).predict(data.select(rows))

    return out_of_fold(fold, predict)


@functools.lru_cache(maxsize=1)
def _options(layer: KernelMachine, train: RowMatrices, num_classes: int) -> KernelOptions:
    """Choose options; cached for the second fit."""
    shares = None
    if num_classes:
        shares = np.maximum(_class_shares(train, num_classes), MIN_CLASS_SHARE)
    return choose_options(_data_of(layer, train, train, num_classes), shares)


def _class_shares(train: RowMatrices, num_classes: int) -> np.ndarray:
    examples = train.examples
    counts = np.bincount(examples.targets, examples.relative_weights, minlength=num_classes)
    return counts / len(examples)


def _data_of(
    layer: KernelMachine, part: RowMatrices, train: RowMatrices, num_classes: int
) -> KernelData:
    """Return features, and targets less their mean in training."""
    arrays, weights = part.arrays(), part.examples.weights
    numbers = np.asarray(layer.number_features(arrays["numbers"]))
    flags = arrays["flags"] * np.float32(FLAG_DISTANCE)
    target, known = part.examples.targets, train.examples.weights
    if weights is None or known is None:
        weights, known = np.ones(len(part)), np.ones(1)
    if num_classes:
        targets = np.eye(num_classes)[target] - _class_shares(train, num_classes)
    else:
        mean, deviation = mean_and_deviation(train.examples)
        targets = (target[:, None] - mean) / deviation
    return KernelData(numbers, flags, targets, np.sqrt(weights / known.mean()))
