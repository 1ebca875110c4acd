"""Networks for rows: `numbers` [batch, n] and `flags` [batch, f] in, answers out.

Every network is a team of k members, k = 1 for a single one: it gives [batch, k, outputs],
and each member is trained by its own loss.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from scipy import sparse

from apps.regression.layers import Adapted, Agreement, Heads, PiecewiseLinear, RandomFourier
from apps.regression.shrinkage import Trusted
from pipelines.batches import ordered_batches
from pipelines.examples import Batch, Examples
from pipelines.rows.preprocessing import PrepareColumns

STRAIGHT = "straight"  # the layer that is a linear model of its own
TRUSTED = "trusted"  # the layer that says how much of the rest is believed
BLOCK = 8192  # examples that are prepared at once, at most
FEWEST, MOST_HELD = 256, 2**23  # of them where they are wide, numbers in all of them
BINS = 128
BIN = 16  # training examples that a bin holds at least, on average
EMBEDDING = 12
# Wide tables would take minutes. They have fewer bins and narrower embeddings, the sums over all
# columns; still wider ones no embeddings, and inputs of the members that are projected first.
MOST_CODES, MOST_EMBEDDED = 2**14, 512
MOST_INPUTS, PROJECTED = 1536, 128
MOST_SORTED = 20_000  # examples by which edges are found
MEMBERS = 16
WAVES = 1024


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Training examples as networks see them: two matrices, which are made block by block."""

    prepare: PrepareColumns
    train: Examples

    def __len__(self) -> int:
        return len(self.train)

    @property
    def width(self) -> int:
        """Columns of both matrices together."""
        return sum(self.prepare.widths.values())

    def inputs(self) -> dict[str, Any]:
        """The Keras inputs of their widths."""
        return {
            name: keras.Input((width,), name=name) for name, width in self.prepare.widths.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Both matrices of all examples, float32."""
        blocks = [x for x, _ in self._fed()]
        return {name: np.concatenate([x[name] for x in blocks]) for name in self.prepare.widths}

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some rows of both matrices side by side, float64, and their targets."""
        for x, target in self._fed():
            yield np.concatenate([x["numbers"], x["flags"]], axis=1, dtype="float64"), target

    def sparse(self) -> Any:
        """Both matrices of all examples side by side, float64: most flags are 0."""
        return sparse.vstack([sparse.csr_matrix(x) for x, _ in self.blocks()]).tocsr()

    def edges(self) -> list[list[float]]:
        """Of each number column, quantiles that differ: as many as there are examples for."""
        bins = min(BINS, MOST_CODES // self.prepare.widths["numbers"], len(self) // BIN)
        step = -(-len(self) // MOST_SORTED)
        some = Prepared(self.prepare, self.train.select(np.arange(0, len(self), step)))
        return edges(some.arrays()["numbers"], max(1, bins))

    def _fed(self) -> Iterator[Batch]:
        rows = min(BLOCK, max(FEWEST, MOST_HELD // (self.width or 1)))
        batches = ordered_batches(self.train, batch_size=rows, prepare=self.prepare)
        return batches.as_numpy_iterator()


@dataclasses.dataclass(frozen=True)
class Hidden:
    """Hidden layers of one width, with what keeps them from learning by heart."""

    width: int
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0

    def penalty(self) -> Any:
        """The kernel regularizer, or None."""
        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None

    def finish(self, x: Any) -> Any:
        """Rectifier and dropout."""
        x = keras.layers.ReLU()(x)
        return keras.layers.Dropout(self.dropout)(x) if self.dropout else x

    def dense(self, x: Any) -> Any:
        """[..., any] -> [..., width]."""
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        layer = keras.layers.Dense(
            self.width, kernel_initializer=uniform, kernel_regularizer=self.penalty()
        )
        return self.finish(layer(x))


def linear(train: Prepared, outputs: int, penalty: Any) -> Any:
    """A linear map that begins at zero."""
    inputs = train.inputs()
    layer = _straight(outputs, penalty)
    return keras.Model(inputs, _alone(layer(_joined(inputs))))


def waves(train: Prepared, outputs: int, penalty: Any) -> Any:
    """A linear map of random waves: a kernel machine of the kernel exp(-|x - y|^2 / n)."""
    inputs = train.inputs()
    x = RandomFourier(WAVES, 1 / max(1, train.width))(_joined(inputs))
    return keras.Model(inputs, _alone(_straight(outputs, penalty)(x)))


def perceptron(train: Prepared, outputs: int, hidden: Hidden) -> Any:
    """Two hidden layers over standardised numbers and flags."""
    inputs = train.inputs()
    x = hidden.dense(hidden.dense(_joined(inputs)))
    return keras.Model(inputs, _alone(keras.layers.Dense(outputs)(x)))


def team(train: Prepared, outputs: int, hidden: Hidden, *, start: list[np.ndarray]) -> Any:
    """TabM-mini over piecewise-linear embeddings, beside a linear model.

    The linear model is `start`, a kernel and a bias, and is not trained further. The
    members add to what it says as much as helps on validation (see
    apps.regression.shrinkage), so that the answers there are no worse than the linear ones.
    """
    inputs = train.inputs()
    parts = [inputs["flags"]]
    num_numbers = train.prepare.widths["numbers"]
    if num_numbers > MOST_EMBEDDED:
        parts.insert(0, inputs["numbers"])
    elif num_numbers:
        width = max(1, min(EMBEDDING, MOST_INPUTS // num_numbers))
        parts.insert(0, PiecewiseLinear(train.edges(), width)(inputs["numbers"]))
    x = keras.layers.Concatenate()(parts)
    if x.shape[-1] > MOST_INPUTS:
        x = keras.layers.Dense(PROJECTED, use_bias=False)(x)
    x = hidden.finish(Adapted(MEMBERS, hidden.width)(x))
    members = Heads(outputs)(hidden.dense(hidden.dense(x)))
    straight = _straight(outputs, hidden.penalty())
    trusted = Trusted(name=TRUSTED)(members)
    # In this order: Keras 3.15 takes what is added second for a bias of the members where a
    # batch has as many examples as there are members, and adds it along the wrong axis.
    added = _alone(straight(_joined(inputs))) + trusted
    straight.set_weights(start)
    straight.trainable = False
    return keras.Model(inputs, Agreement()(added))


def edges(numbers: np.ndarray, bins: int) -> list[list[float]]:
    """Of each column [rows, n], quantiles that differ, at most bins + 1 and at least two."""
    found = []
    for column in numbers.T:
        cuts = np.unique(np.quantile(column.astype("float64"), np.linspace(0, 1, bins + 1)))
        found.append(cuts.tolist() if len(cuts) > 1 else [float(cuts[0]), float(cuts[0]) + 1])
    return found


def _joined(inputs: dict[str, Any]) -> Any:
    return keras.layers.Concatenate()([inputs["numbers"], inputs["flags"]])


def _straight(outputs: int, penalty: Any) -> Any:
    return keras.layers.Dense(
        outputs, kernel_initializer="zeros", kernel_regularizer=penalty, name=STRAIGHT
    )


def _alone(x: Any) -> Any:
    """[batch, outputs] -> [batch, 1, outputs]: a team of one."""
    return keras.layers.Reshape((1, x.shape[-1]))(x)
