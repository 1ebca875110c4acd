"""Layers that combine networks with boosted trees in one graph."""

from typing import Any

import keras
import numpy as np
from keras import ops

from apps.regression.complete_trees import DEPTH, MAX_CATEGORIES, BoostedTrees

FROZEN: dict[str, Any] = {"dtype": "float32", "trainable": False, "autocast": False}


@keras.saving.register_keras_serializable("athanor")
class TreeInputs(keras.layers.Layer):
    """The inputs of trees, [batch, n]: categories k as 2^-k, then numbers.

    Categories without a flag of their own, rare or unknown ones, are the last of MAX_CATEGORIES.

    Args:
        flags: for each categorical input the columns of `flags` of its categories, in order.
        numbers: columns of `numbers` and `flags`, side by side, that are inputs as they are.

    """

    def __init__(self, flags: list[list[int]], numbers: list[int], **kwargs: Any) -> None:
        super().__init__(**FROZEN | kwargs)
        self.flags, self.numbers = flags, numbers

    def call(self, inputs: dict[str, Any]) -> Any:
        """Turn `numbers` and `flags` into one matrix."""
        both = ops.concatenate([inputs["numbers"], inputs["flags"]], 1)
        numbers = ops.take(both, np.array(self.numbers, "int32"), 1)
        if not self.flags:
            return numbers
        columns = np.array([one for column in self.flags for one in column], "int32")
        rest = 2.0 ** (1 - MAX_CATEGORIES)
        powers = np.zeros((len(columns), len(self.flags)), "float32")
        start = 0
        for place, column in enumerate(self.flags):
            own = slice(start, start + len(column))
            powers[own, place] = 2.0 ** -np.arange(len(column)) - rest
            start += len(column)
        return ops.concatenate([ops.take(inputs["flags"], columns, 1) @ powers + rest, numbers], 1)

    def codes(self, inputs: Any) -> np.ndarray:
        """Return inputs [rows, n] with numbers of categories in place of powers of two."""
        x = np.array(inputs)
        x[:, : len(self.flags)] = -np.log2(x[:, : len(self.flags)])
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"flags": self.flags, "numbers": self.numbers}


@keras.saving.register_keras_serializable("athanor")
class TreeEnsemble(keras.layers.Layer):
    """Complete binary trees whose values are summed: [batch, n] -> [batch, outputs].

    Every level is two gathers from tables of the trees and one from the inputs, for all trees
    and examples at once.

    Args:
        trees: number of trees; tree t belongs to output t % outputs.
        outputs: of the trees.
        categorical: number of inputs that are categories; see `TreeInputs`.
        two_classes: whether the one output is the difference of two logits, which are returned.

    References:
        Nakandala et al., A Tensor Compiler for Unified Machine Learning Prediction Serving,
        OSDI 2020, section 4.1, perfect tree traversal.

    """

    def __init__(
        self,
        trees: int,
        outputs: int,
        *,
        categorical: int = 0,
        two_classes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**FROZEN | kwargs)
        self.trees, self.outputs = trees, outputs
        self.categorical, self.two_classes = categorical, two_classes

    @classmethod
    def of(cls, trees: BoostedTrees, num_classes: int, **kwargs: Any) -> "TreeEnsemble":
        """Make the layer of fitted trees; `num_classes` is 0 or 1 for numbers."""
        outputs = len(trees.bias)
        two_classes = num_classes == 2 and outputs == 1
        layer = cls(len(trees.columns), outputs, two_classes=two_classes, **kwargs)
        layer.build(())
        layer.set_weights(trees.weights())
        return layer

    def build(self, shape: tuple) -> None:  # noqa: ARG002
        """Create the tables."""
        inner, leaves = (self.trees, 2**DEPTH - 1), (self.trees, 2**DEPTH)
        frozen: dict[str, Any] = {"initializer": "zeros", "trainable": False}
        self.columns = self.add_weight(shape=inner, dtype="int32", **frozen)
        self.thresholds = self.add_weight(shape=inner, dtype="float32", **frozen)
        self.values = self.add_weight(shape=leaves, dtype="float32", **frozen)
        self.bias = self.add_weight(shape=(self.outputs,), dtype="float32", **frozen)
        self.built = True

    def call(self, x: Any) -> Any:
        """Walk down all trees, level by level."""
        columns, thresholds, values = (
            ops.reshape(table, (-1,)) for table in (self.columns, self.thresholds, self.values)
        )
        first = np.arange(self.trees, dtype="int32")
        place = ops.zeros_like(x[:, :1], "int32") + 0 * first  # among the nodes of a level
        for level in range(DEPTH):
            node = place + (first * (2**DEPTH - 1) + 2**level - 1)
            column, threshold = ops.take(columns, node), ops.take(thresholds, node)
            right = self._goes_right(ops.take_along_axis(x, column, 1), column, threshold)
            place = 2 * place + ops.cast(right, "int32")
        leaves = ops.take(values, place + first * 2**DEPTH)
        by_output = ops.reshape(leaves, (-1, self.trees // self.outputs, self.outputs))
        outputs = ops.sum(by_output, 1) + self.bias
        return ops.concatenate([-outputs / 2, outputs / 2], 1) if self.two_classes else outputs

    def _goes_right(self, number: Any, column: Any, threshold: Any) -> Any:
        if not self.categorical:
            return number > threshold
        bits = ops.floor(number * threshold)
        is_odd = bits > 2 * ops.floor(bits / 2)
        return ops.where(column < self.categorical, is_odd, number > threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        own = {"trees": self.trees, "outputs": self.outputs, "two_classes": self.two_classes}
        own |= {"categorical": self.categorical}
        return super().get_config() | own


@keras.saving.register_keras_serializable("athanor")
class Blend(keras.layers.Layer):
    """The weighted mean of several predictions, [batch, outputs] each, as [batch, 1, outputs].

    One output is averaged; several outputs are logits, whose probabilities are averaged. At first
    only the first prediction has a weight.

    Args:
        names: of the predictions, for the user.

    """

    def __init__(self, names: list[str], **kwargs: Any) -> None:
        super().__init__(**FROZEN | kwargs)
        self.names = names

    def build(self, shapes: list[tuple]) -> None:
        """Create the weights, estimated on validation, and the loss of each prediction there."""
        first = np.eye(len(shapes), dtype="float32")[0]
        self.mixture = self.add_weight(
            shape=first.shape, initializer=lambda *_, **__: first, trainable=False
        )
        self.losses_alone = self.add_weight(shape=first.shape, initializer="zeros", trainable=False)

    def call(self, predictions: list[Any]) -> Any:
        """Return the mean by the weights."""
        stacked = ops.stack([ops.cast(one, "float32") for one in predictions], 1)
        if stacked.shape[-1] > 1:
            mean = ops.sum(ops.softmax(stacked) * self.mixture[:, None], 1, keepdims=True)
            return ops.log(ops.maximum(mean, 1e-30))
        return ops.sum(stacked * self.mixture[:, None], 1, keepdims=True)

    def describe_blend(self) -> dict[str, dict[str, float]]:
        """Return the weight of each prediction and its validation loss alone; {} before."""
        weights, losses = self.mixture.numpy().tolist(), self.losses_alone.numpy().tolist()
        if not any(losses):
            return {}
        pairs = zip(weights, losses, strict=True)
        parts = [{"weight": weight, "validation_loss": loss} for weight, loss in pairs]
        return dict(zip(self.names, parts, strict=True))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"names": self.names}
