"""Networks for rows: `numbers` [batch, n] and `flags` [batch, f] in, answers out.

Every network is a team of k members, k = 1 for a single one: it gives [batch, k, outputs],
and each member is trained by its own loss.
"""

import dataclasses
from typing import Any, NamedTuple

import keras
import numpy as np

from apps.tabular import Adapted, Agreement, Heads, PiecewiseLinear, RandomFourier
from apps.trust import Trusted
from pipelines.examples import Examples
from pipelines.feed import feed

STRAIGHT = "straight"  # the layer that is a linear model of its own
TRUSTED = "trusted"  # the layer that says how much of the rest is believed
BLOCK = 8192
BINS = 128
BIN = 16  # training examples that a bin holds at least, on average
EMBEDDING = 12
MANY = 2000  # examples from which on the linear answer needs no protection
MEMBERS = 16
WAVES = 1024
RIDGE = 1e-3  # of an example, as in the linear baseline: columns that repeat do no harm


class Prepared(NamedTuple):
    """All training examples as networks see them: [rows, n] and [rows, f]."""

    numbers: np.ndarray
    flags: np.ndarray

    @classmethod
    def of(cls, prepare: Any, train: Examples) -> "Prepared":
        """Of the raw examples."""
        blocks = [x for x, _ in feed(train, batch_size=BLOCK, prepare=prepare)]
        return cls(*(np.concatenate([block[name] for block in blocks]) for name in cls._fields))

    @property
    def joined(self) -> np.ndarray:
        """Both, [rows, n + f]."""
        return np.concatenate(self, axis=1)

    def inputs(self) -> dict[str, Any]:
        """The Keras inputs of their widths."""
        return {
            name: keras.Input((part.shape[1],), name=name) for name, part in self._asdict().items()
        }


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
    x = RandomFourier(WAVES, 1 / train.joined.shape[1])(_joined(inputs))
    return keras.Model(inputs, _alone(_straight(outputs, penalty)(x)))


def perceptron(train: Prepared, outputs: int, hidden: Hidden) -> Any:
    """Two hidden layers over standardised numbers and flags."""
    inputs = train.inputs()
    x = hidden.dense(hidden.dense(_joined(inputs)))
    return keras.Model(inputs, _alone(keras.layers.Dense(outputs)(x)))


def team(train: Prepared, outputs: int, hidden: Hidden, *, start: list[np.ndarray] | None) -> Any:
    """TabM-mini over piecewise-linear embeddings, beside a linear model.

    The linear model begins at `start`, a kernel and a bias, and the members add to
    what it says: where there is little to learn from, little is added (see
    apps.trust), and the linear model is not trained further.
    """
    inputs = train.inputs()
    parts = [inputs["flags"]]
    if train.numbers.shape[1]:
        bins = min(BINS, max(1, len(train.numbers) // BIN))
        embed = PiecewiseLinear(edges(train.numbers, bins), EMBEDDING)
        parts.insert(0, embed(inputs["numbers"]))
    x = hidden.finish(Adapted(MEMBERS, hidden.width)(keras.layers.Concatenate()(parts)))
    members = Heads(outputs)(hidden.dense(hidden.dense(x)))
    straight = _straight(outputs, hidden.penalty())
    trusted = Trusted(name=TRUSTED)(members)
    # In this order: Keras 3.15 takes what is added second for a bias of the members where a
    # batch has as many examples as there are members, and adds it along the wrong axis.
    added = _alone(straight(_joined(inputs))) + trusted
    if start is not None:
        straight.set_weights(start)
        straight.trainable = len(train.numbers) >= MANY
    return keras.Model(inputs, Agreement()(added))


def edges(numbers: np.ndarray, bins: int) -> list[list[float]]:
    """Of each column [rows, n], quantiles that differ, at most bins + 1 and at least two."""
    found = []
    for column in numbers.T:
        cuts = np.unique(np.quantile(column.astype("float64"), np.linspace(0, 1, bins + 1)))
        found.append(cuts.tolist() if len(cuts) > 1 else [float(cuts[0]), float(cuts[0]) + 1])
    return found


def ridge(x: np.ndarray, y: np.ndarray, l2: float) -> list[np.ndarray]:
    """The kernel [n, 1] and bias [1] that minimise mean (x w + b - y)^2 + l2 |w|^2."""
    x, y = x.astype("float64"), y.astype("float64")
    middle, centre = x.mean(0), y.mean()
    inner = (x - middle).T @ (x - middle) / len(x) + l2 * np.eye(x.shape[1])
    kernel = np.linalg.lstsq(inner, (x - middle).T @ (y - centre) / len(x), rcond=None)[0]
    bias = centre - middle @ kernel
    return [kernel[:, None].astype("float32"), np.array([bias], "float32")]


def _joined(inputs: dict[str, Any]) -> Any:
    return keras.layers.Concatenate()([inputs["numbers"], inputs["flags"]])


def _straight(outputs: int, penalty: Any) -> Any:
    return keras.layers.Dense(
        outputs, kernel_initializer="zeros", kernel_regularizer=penalty, name=STRAIGHT
    )


def _alone(x: Any) -> Any:
    """[batch, outputs] -> [batch, 1, outputs]: a team of one."""
    return keras.layers.Reshape((1, x.shape[-1]))(x)
