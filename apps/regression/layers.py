"""Layers for rows of numbers."""

from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.rows.preprocessing import offset


@keras.saving.register_keras_serializable("athanor")
class PiecewiseLinear(keras.layers.Layer):
    """Embeddings of numbers: [batch, n] -> [batch, n width].

    Between two edges a number's code rises from 0 to 1; a linear map of the code,
    which begins at zero, bends freely at each edge. The rank of the number, the
    code's mean, adds a straight line, which outliers cannot stretch.

    Args:
        edges: of each number column, rising.
        width: of the embedding of one number.

    References:
        Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning,
        NeurIPS 2022, equation 1; arXiv 2203.05556.

    """

    def __init__(self, edges: list[list[float]], width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edges, self.width = edges, width
        # Shorter columns are filled with edges that are never reached.
        shape = len(edges), max(len(column) for column in edges) - 1
        self.left, self.slope = np.zeros(shape, "float32"), np.zeros(shape, "float32")
        self.share = np.zeros(shape, "float32")
        for row, column in enumerate(edges):
            steps = np.diff(column)
            self.left[row, : len(steps)] = column[:-1]
            self.slope[row, : len(steps)] = 1 / steps
            self.share[row, : len(steps)] = 1 / len(steps)

    def build(self, shape: tuple) -> None:  # noqa: ARG002
        """A matrix, a line's slope and an offset for each column."""
        columns, bins = self.left.shape
        even = keras.initializers.RandomUniform(-1, 1)
        self.bend = self.add_weight(shape=(columns, bins, self.width), initializer="zeros")
        self.line = self.add_weight(shape=(columns, self.width), initializer=even)
        self.offset = self.add_weight(shape=(columns, self.width), initializer=even)

    def call(self, numbers: Any) -> Any:
        """Codes, then embeddings."""
        code = ops.clip((numbers[..., None] - self.left) * self.slope, 0, 1)
        # From -sqrt(3) to sqrt(3): deviation 1.
        rank = (ops.sum(code * self.share, -1) - 0.5) * 12**0.5
        bent = ops.matmul(ops.transpose(code, (1, 0, 2)), self.bend)
        embedded = ops.transpose(bent, (1, 0, 2)) + rank[..., None] * self.line + self.offset
        return ops.reshape(embedded, (-1, self.left.shape[0] * self.width))

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"edges": self.edges, "width": self.width}


@keras.saving.register_keras_serializable("athanor")
class Adapted(keras.layers.Layer):
    """The layer at which a team's members part: [batch, n] -> [batch, members, units].

    One kernel for all, and for each member an adapter of random signs before it.
    The adapter is folded into the kernel: one product of matrices in place of
    `members` of them.

    References:
        Gorishniy et al., TabM, ICLR 2025, section 3.3, TabM-mini; arXiv 2410.24210.

    """

    def __init__(self, members: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members, self.units = members, units

    def build(self, shape: tuple) -> None:
        """Adapters, kernel and bias."""
        bound = max(1, shape[-1]) ** -0.5
        even = keras.initializers.RandomUniform(-bound, bound)
        self.adapter = self.add_weight(shape=(shape[-1], self.members), initializer=_signs)
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer=even)
        self.bias = self.add_weight(shape=(self.units,), initializer=even)

    def call(self, x: Any) -> Any:
        """Every member's view of each example."""
        folded = self.adapter[:, :, None] * self.kernel[:, None]
        kernel = ops.reshape(folded, (-1, self.members * self.units))
        return ops.reshape(ops.matmul(x, kernel), (-1, self.members, self.units)) + self.bias

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"members": self.members, "units": self.units}


def _signs(shape: tuple, dtype: Any = None) -> Any:
    return ops.cast(keras.random.randint(shape, 0, 2) * 2 - 1, dtype)


@keras.saving.register_keras_serializable("athanor")
class Heads(keras.layers.Layer):
    """A linear layer for each member: [batch, members, n] -> [batch, members, outputs]."""

    def __init__(self, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = outputs

    def build(self, shape: tuple) -> None:
        """A kernel and a bias for each member; all begin at zero."""
        self.kernel = self.add_weight(shape=(*shape[1:], self.outputs), initializer="zeros")
        self.bias = self.add_weight(shape=(shape[1], self.outputs), initializer="zeros")

    def call(self, x: Any) -> Any:
        """Products summed; a batch of tiny matrix products is slower."""
        if self.outputs == 1:
            return ops.sum(x * self.kernel[..., 0], -1, keepdims=True) + self.bias
        return ops.einsum("bki,kio->bko", x, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"outputs": self.outputs}


@keras.saving.register_keras_serializable("athanor")
class Agreement(keras.layers.Layer):
    """Outside training every member of a team says what all say together.

    So the loss on validation examples is that of the team. Numbers are averaged
    (one output), or the probabilities whose logits the outputs are.
    """

    def call(self, x: Any, training: bool | None = None) -> Any:
        """[batch, members, outputs] -> the same shape."""
        if training:
            return x
        if x.shape[-1] == 1:
            return ops.broadcast_to(ops.mean(x, 1, keepdims=True), ops.shape(x))
        shares = ops.mean(ops.softmax(x), 1, keepdims=True)
        return ops.broadcast_to(ops.log(ops.maximum(shares, 1e-30)), ops.shape(x))


@keras.saving.register_keras_serializable("athanor")
class RandomFourier(keras.layers.Layer):
    """Features whose inner product is nearly exp(-gamma |x - y|^2): [batch, n] -> [batch, count].

    Args:
        count: of features; the kernel's error falls with its root.
        gamma: of the kernel.

    References:
        Rahimi and Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007.

    """

    def __init__(self, count: int, gamma: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.gamma = count, gamma

    def build(self, shape: tuple) -> None:
        """Frequencies and phases, which are not trained."""
        normal = keras.initializers.RandomNormal(0, (2 * self.gamma) ** 0.5)
        turn = keras.initializers.RandomUniform(0, 2 * np.pi)
        self.frequency = self.add_weight(
            shape=(shape[-1], self.count), initializer=normal, trainable=False
        )
        self.phase = self.add_weight(shape=(self.count,), initializer=turn, trainable=False)

    def call(self, x: Any) -> Any:
        """Waves of equal weight."""
        return (2 / self.count) ** 0.5 * ops.cos(ops.matmul(x, self.frequency) + self.phase)

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"count": self.count, "gamma": self.gamma}


@keras.saving.register_keras_serializable("athanor")
class InUnit(keras.layers.Layer):
    """Standardised numbers of a team to one number in the target's unit.

    [batch, members, 1] -> [batch], float64 where float32 cannot tell the targets apart.
    """

    def __init__(self, mean: float, scale: float, **kwargs: Any) -> None:
        dtype = "float64" if offset(mean, scale) else "float32"
        super().__init__(**{"dtype": dtype, **kwargs})
        self.mean, self.scale = mean, scale

    def call(self, x: Any) -> Any:
        """The members' mean, scaled and shifted."""
        return ops.mean(x[..., 0], 1) * self.scale + self.mean

    def get_config(self) -> dict[str, Any]:
        """What __init__ needs."""
        return super().get_config() | {"mean": self.mean, "scale": self.scale}


@keras.saving.register_keras_serializable("athanor")
class Probabilities(keras.layers.Layer):
    """Logits of a team to one distribution: [batch, members, classes] -> [batch, classes]."""

    def call(self, x: Any) -> Any:
        """The mean of the members' probabilities."""
        return ops.mean(ops.softmax(ops.cast(x, "float32")), 1)
