"""Divide a network into a frozen part, blocks that are fine-tuned, and a head."""

import re
from typing import Any, NamedTuple

import keras

from pipelines.examples import DataError

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
NORMALIZATIONS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU)


class Parts(NamedTuple):
    """A network's parts, in the order in which images pass through them.

    Attributes:
        frozen: from preprocessed images to the features where fine-tuning begins.
        blocks: the top of the backbone, from and to [batch, height, width, channels];
            None if the whole backbone is frozen.
        head: from pooled features [batch, channels] to logits [batch, classes].

    """

    frozen: Any
    blocks: Any
    head: Any

    def pooled(self, features: Any) -> Any:
        """Apply the blocks to the features at the cut; return channel means [batch, channels]."""
        if self.blocks is not None:
            features = self.blocks(features)
        return keras.layers.GlobalAveragePooling2D(dtype="float32")(features)

    def network(self) -> Any:
        """Return the model from preprocessed images to logits."""
        images = keras.Input(self.frozen.input.shape[1:])
        return keras.Model(images, self.head(self.pooled(self.frozen(images))), name="network")

    def above_cut(self) -> Any:
        """Return the model from features at the cut to logits, of the same layers."""
        features = keras.Input(self.frozen.output.shape[1:])
        return keras.Model(features, self.head(self.pooled(features)))


def divide(
    backbone: Any, num_classes: int, *, trainable: float, dropout: float, batch_norm: str
) -> Parts:
    """Cut a backbone so that about the fraction `trainable` of its weights can be fine-tuned.

    With `batch_norm` frozen, batch normalisation in the blocks uses its moving statistics in
    training too: its layers are not trainable. A call with training=False would not work,
    because Keras 3 passes the outer model's argument on.
    """
    cut = cut_layer(backbone, trainable)
    frozen = keras.Model(backbone.input, cut.output, name="frozen")
    blocks = None
    if cut.output is not backbone.output:
        blocks = keras.Model(cut.output, backbone.output, name="blocks")
    frozen.trainable = False
    for layer in blocks.layers if blocks is not None else []:
        normalizes = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = batch_norm == "learn" or not normalizes
    return Parts(frozen, blocks, _head(backbone.output.shape[-1], num_classes, dropout))


def parts_of(network: Any) -> Parts:
    """Return the parts of a network that `Parts.network` made."""
    layers = {layer.name: layer for layer in network.layers}
    return Parts(layers["frozen"], layers.get("blocks"), layers["head"])


def _head(width: int, num_classes: int, dropout: float) -> Any:
    features = keras.Input((width,))
    x = keras.layers.Dropout(dropout)(features) if dropout else features
    return keras.Model(features, keras.layers.Dense(num_classes, dtype="float32")(x), name="head")


def cut_layer(backbone: Any, trainable: float) -> Any:
    """Return the last layer through which all paths lead, with enough of the weights above it.

    A cut never lies between a convolution, its normalisation and its activation.
    """
    if not trainable:
        return next(layer for layer in backbone.layers if layer.output is backbone.output)
    weights = [layer.count_params() for layer in backbone.layers]
    min_weights = trainable * sum(weights)
    last = None
    for number in _cut_points(backbone):
        if sum(weights[number + 1 :]) < min_weights:
            break
        last = number
    if last is None:
        raise DataError(
            f"Received a backbone that cannot be cut to train {trainable:.0%} of its weights; "
            "expected less. Lower --unfreeze."
        )
    return backbone.layers[last]


def _cut_points(backbone: Any) -> list[int]:
    """Return the numbers of the layers whose output is the only one that later layers use."""
    layers = backbone.layers
    producer = {id(layer.output): number for number, layer in enumerate(layers)}
    users: list[list[int]] = [[] for _ in layers]
    for number, layer in enumerate(layers[1:], 1):
        for tensor in keras.tree.flatten(layer.input):
            users[producer[id(tensor)]].append(number)
    points, last_use = [], 0
    for number, layer in enumerate(layers[:-1]):
        # No layer after this one uses an output from before it.
        all_paths = number and last_use <= number
        if all_paths and not _belongs_to_next(layer, [layers[k] for k in users[number]]):
            points.append(number)
        last_use = max(last_use, *users[number])
    return points


def _belongs_to_next(layer: Any, users: list[Any]) -> bool:
    """Whether a convolution or normalisation is followed by its normalisation or activation."""
    return isinstance(layer, (*CONVOLUTIONS, *NORMALIZATIONS)) and any(
        isinstance(user, (*NORMALIZATIONS, *ACTIVATIONS)) for user in users
    )


class Group(NamedTuple):
    """Layers that share a factor of the learning rate."""

    name: str
    layers: list[Any]
    learning_rate_scale: float

    @property
    def variables(self) -> list[Any]:
        """The trainable variables."""
        return [variable for layer in self.layers for variable in layer.trainable_variables]

    @property
    def paths(self) -> str:
        """A regular expression that matches the paths of these variables and no others."""
        return f"^({'|'.join(re.escape(variable.path) for variable in self.variables)})$"


def groups(parts: Parts, decay: float) -> list[Group]:
    """Return the head, then the upper and lower half of the blocks, each `decay` times as fast."""
    all_groups = [Group("head", [parts.head], 1.0)]
    if parts.blocks is not None:
        layers = [layer for layer in parts.blocks.layers if layer.trainable_variables]
        middle = len(layers) // 2
        all_groups.append(Group("upper blocks", layers[middle:], decay))
        all_groups.append(Group("lower blocks", layers[:middle], decay**2))
    return [group for group in all_groups if group.variables]


def describe(parts: Parts, decay: float, learning_rate: float) -> str:
    """Return a table of what is frozen and what trains in both stages, a line for each part."""
    rows = [["part", "layers", "parameters", "first stage", "second stage"]]
    frozen = parts.frozen
    last = frozen.layers[-1].name
    rows.append([f"frozen, to {last}", str(len(frozen.layers)), f"{frozen.count_params():,}"])
    rows[-1] += ["frozen", "frozen"]
    for group in reversed(groups(parts, decay)):
        count = sum(layer.count_params() for layer in group.layers)
        first = "trains" if group.name == "head" else "frozen"
        rate = learning_rate * group.learning_rate_scale
        second = f"rate {rate:.2g}" if parts.blocks is not None else "none"
        rows.append([group.name, str(len(group.layers)), f"{count:,}", first, second])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)
