"""Layers for rows of numbers."""

from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.rows.preprocessing import offset


class Ranks:
    """Piecewise-linear encodings of numbers, and the ranks that are their means.

    The encoding of a number has one entry per bin, which rises from 0 to 1 between the
    bin's edges.

    Args:
        edges: of the bins of each number column, rising.

    References:
        Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning,
        NeurIPS 2022, equation 1; arXiv 2203.05556.

    """

    def __init__(self, edges: list[list[float]]) -> None:
        # Columns with fewer bins get edges that no number reaches.
        shape = len(edges), max((len(column) for column in edges), default=1) - 1
        self.left, self.slope = np.zeros(shape, "float32"), np.zeros(shape, "float32")
        self.bin_weight = np.zeros(shape, "float32")
        for row, column in enumerate(edges):
            bins = np.diff(column)
            self.left[row, : len(bins)] = column[:-1]
            self.slope[row, : len(bins)] = 1 / bins
            self.bin_weight[row, : len(bins)] = 1 / len(bins)

    def encode(self, numbers: Any) -> Any:
        """[batch, n] -> [batch, n, bins]."""
        return ops.clip((numbers[..., None] - self.left) * self.slope, 0, 1)

    def of(self, encoding: Any) -> Any:
        """[batch, n, bins] -> [batch, n], from -sqrt(3) to sqrt(3): standard deviation 1."""
        return (ops.sum(encoding * self.bin_weight, -1) - 0.5) * 12**0.5


@keras.saving.register_keras_serializable("athanor")
class PiecewiseLinear(keras.layers.Layer):
    """Piecewise-linear embeddings of numbers: [batch, n] -> [batch, n width].

    A linear map of the encoding (see `Ranks`) begins at zero and can bend at each edge. The rank
    of the number adds a straight line that outliers cannot stretch.

    Args:
        edges: of the bins of each number column, rising.
        width: of the embedding of one number.

    References:
        Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning,
        NeurIPS 2022, equation 1; arXiv 2203.05556.

    """

    def __init__(self, edges: list[list[float]], width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edges, self.width = edges, width
        self.ranks = Ranks(edges)

    def build(self, shape: tuple) -> None:  # noqa: ARG002
        """Create a matrix, a line's slope and an offset for each column."""
        columns, bins = self.ranks.left.shape
        uniform = keras.initializers.RandomUniform(-1, 1)
        self.bend = self.add_weight(shape=(columns, bins, self.width), initializer="zeros")
        self.line = self.add_weight(shape=(columns, self.width), initializer=uniform)
        self.offset = self.add_weight(shape=(columns, self.width), initializer=uniform)

    def call(self, numbers: Any) -> Any:
        """Encode, then embed."""
        encoding = self.ranks.encode(numbers)
        rank = self.ranks.of(encoding)
        bent = ops.matmul(ops.transpose(encoding, (1, 0, 2)), self.bend)
        embedded = ops.transpose(bent, (1, 0, 2)) + rank[..., None] * self.line + self.offset
        return ops.reshape(embedded, (-1, len(self.edges) * self.width))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"edges": self.edges, "width": self.width}


@keras.saving.register_keras_serializable("athanor")
class BatchEnsembleDense(keras.layers.Layer):
    """The first dense layer of an ensemble: [batch, n] -> [batch, members, units].

    All members share one kernel; each multiplies its input by an adapter of random signs
    first. The adapter is folded into the kernel: one matrix product in place of `members`.

    References:
        Gorishniy et al., TabM, ICLR 2025, section 3.3, TabM-mini; arXiv 2410.24210.

    """

    def __init__(self, members: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members, self.units = members, units

    def build(self, shape: tuple) -> None:
        """Create adapters, kernel and bias."""
        bound = max(1, shape[-1]) ** -0.5
        uniform = keras.initializers.RandomUniform(-bound, bound)
        self.adapter = self.add_weight(shape=(shape[-1], self.members), initializer=_signs)
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer=uniform)
        self.bias = self.add_weight(shape=(self.units,), initializer=uniform)

    def call(self, x: Any) -> Any:
        """Return the units of every member for each example."""
        folded = self.adapter[:, :, None] * self.kernel[:, None]
        kernel = ops.reshape(folded, (-1, self.members * self.units))
        return ops.reshape(ops.matmul(x, kernel), (-1, self.members, self.units)) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"members": self.members, "units": self.units}


def _signs(shape: tuple, dtype: Any = None) -> Any:
    return ops.cast(keras.random.randint(shape, 0, 2) * 2 - 1, dtype)


@keras.saving.register_keras_serializable("athanor")
class EnsembleHeads(keras.layers.Layer):
    """A linear layer for each member: [batch, members, n] -> [batch, members, outputs]."""

    def __init__(self, outputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = outputs

    def build(self, shape: tuple) -> None:
        """Create a kernel and a bias for each member; all begin at zero."""
        self.kernel = self.add_weight(shape=(*shape[1:], self.outputs), initializer="zeros")
        self.bias = self.add_weight(shape=(shape[1], self.outputs), initializer="zeros")

    def call(self, x: Any) -> Any:
        """Apply each member's layer."""
        if self.outputs == 1:  # summed products: a batch of tiny matrix products is slower
            return ops.sum(x * self.kernel[..., 0], -1, keepdims=True) + self.bias
        return ops.einsum("bki,kio->bko", x, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"outputs": self.outputs}


@keras.saving.register_keras_serializable("athanor")
class EnsembleMean(keras.layers.Layer):
    """Outside training, replaces each member's output by the output of the whole ensemble.

    So the validation loss is the loss of the ensemble. A single output is averaged; several
    outputs are logits, whose probabilities are averaged.
    """

    def call(self, x: Any, training: bool | None = None) -> Any:
        """[batch, members, outputs] -> the same shape."""
        if training:
            return x
        if x.shape[-1] == 1:
            return ops.broadcast_to(ops.mean(x, 1, keepdims=True), ops.shape(x))
        probabilities = ops.mean(ops.softmax(x), 1, keepdims=True)
        return ops.broadcast_to(ops.log(ops.maximum(probabilities, 1e-30)), ops.shape(x))


@keras.saving.register_keras_serializable("athanor")
class RandomFourier(keras.layers.Layer):
    """Random Fourier features of the kernel exp(-gamma |x - y|^2): [batch, n] -> [batch, count].

    Their inner product approximates the kernel.

    Args:
        count: number of features; the error of the kernel falls with its square root.
        gamma: of the kernel.

    References:
        Rahimi and Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007.

    """

    def __init__(self, count: int, gamma: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.gamma = count, gamma

    def build(self, shape: tuple) -> None:
        """Create frequencies and phases, which are not trained."""
        normal = keras.initializers.RandomNormal(0, (2 * self.gamma) ** 0.5)
        angle = keras.initializers.RandomUniform(0, 2 * np.pi)
        self.frequency = self.add_weight(
            shape=(shape[-1], self.count), initializer=normal, trainable=False
        )
        self.phase = self.add_weight(shape=(self.count,), initializer=angle, trainable=False)

    def call(self, x: Any) -> Any:
        """Cosines of equal weight."""
        return (2 / self.count) ** 0.5 * ops.cos(ops.matmul(x, self.frequency) + self.phase)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"count": self.count, "gamma": self.gamma}


@keras.saving.register_keras_serializable("athanor")
class Destandardize(keras.layers.Layer):
    """Averages the members and brings the number back to the target's unit.

    [batch, members, 1] -> [batch], float64 if float32 cannot tell the targets apart.
    """

    def __init__(self, mean: float, scale: float, **kwargs: Any) -> None:
        dtype = "float64" if offset(mean, scale) else "float32"
        super().__init__(**{"dtype": dtype, **kwargs})
        self.mean, self.scale = mean, scale

    def call(self, x: Any) -> Any:
        """Return the members' mean, scaled and shifted."""
        return ops.mean(x[..., 0], 1) * self.scale + self.mean

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"mean": self.mean, "scale": self.scale}


@keras.saving.register_keras_serializable("athanor")
class EnsembleProbabilities(keras.layers.Layer):
    """Averages the members' probabilities: logits [batch, members, classes] -> [batch, classes]."""

    def call(self, x: Any) -> Any:
        """Return the mean of the members' softmax."""
        return ops.mean(ops.softmax(ops.cast(x, "float32")), 1)
