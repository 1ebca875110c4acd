"""A backbone in two parts and a head on top: what is frozen, what trains, how fast."""

import re
from typing import Any, NamedTuple

import keras

from pipelines.examples import DataError

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
NORMALS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU)


class Parts(NamedTuple):
    """A network's parts, in the order in which pictures go through them.

    Attributes:
        frozen: from prepared pictures to the features where fine-tuning begins.
        blocks: the top of the backbone, [batch, height, width, channels] of
            both; None where all of it is frozen.
        head: from pooled features [batch, channels] to logits [batch, classes].

    """

    frozen: Any
    blocks: Any
    head: Any

    def pooled(self, features: Any) -> Any:
        """Features at the cut -> the means of each channel, [batch, channels]."""
        if self.blocks is not None:
            features = self.blocks(features)
        return keras.layers.GlobalAveragePooling2D(dtype="float32")(features)

    def network(self) -> Any:
        """The model from prepared pictures to logits."""
        images = keras.Input(self.frozen.input.shape[1:])
        return keras.Model(images, self.head(self.pooled(self.frozen(images))), name="network")

    def upper(self) -> Any:
        """The model from features at the cut to logits, of the same layers."""
        features = keras.Input(self.frozen.output.shape[1:])
        return keras.Model(features, self.head(self.pooled(features)))


def parts(
    backbone: Any, num_classes: int, *, share: float, dropout: float, batch_norm: str
) -> Parts:
    """Cut a backbone so that about `share` of its weights lie in the blocks that may train.

    With `batch_norm` frozen the blocks' batch normalisation stays as it came: a layer
    that is not trainable normalises by its moving statistics, in training too.
    A call with training=False would not do: Keras 3 passes the outer model's on.
    """
    cut = cut_layer(backbone, share)
    frozen = keras.Model(backbone.input, cut.output, name="frozen")
    blocks = None
    if cut.output is not backbone.output:
        blocks = keras.Model(cut.output, backbone.output, name="blocks")
    frozen.trainable = False
    for layer in blocks.layers if blocks is not None else []:
        normal = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = batch_norm == "learn" or not normal
    return Parts(frozen, blocks, _head(backbone.output.shape[-1], num_classes, dropout))


def found(network: Any) -> Parts:
    """The parts that a network was made of."""
    named = {layer.name: layer for layer in network.layers}
    return Parts(named["frozen"], named.get("blocks"), named["head"])


def _head(width: int, num_classes: int, dropout: float) -> Any:
    features = keras.Input((width,))
    x = keras.layers.Dropout(dropout)(features) if dropout else features
    return keras.Model(features, keras.layers.Dense(num_classes, dtype="float32")(x), name="head")


def cut_layer(backbone: Any, share: float) -> Any:
    """The last layer that everything passes, with at least `share` of all weights above it.

    A layer within convolution, normalisation and activation is no place to cut.
    """
    if not share:
        return next(layer for layer in backbone.layers if layer.output is backbone.output)
    weights = [layer.count_params() for layer in backbone.layers]
    wanted = share * sum(weights)
    chosen = None
    for number in _passes(backbone):
        if sum(weights[number + 1 :]) < wanted:
            break
        chosen = number
    if chosen is None:
        raise DataError(
            f"Received a backbone that cannot be cut to train {share:.0%} of its weights; "
            "expected less. Lower --unfreeze."
        )
    return backbone.layers[chosen]


def _passes(backbone: Any) -> list[int]:
    """Numbers of the layers whose output alone is used by those after them."""
    layers = backbone.layers
    made = {id(layer.output): number for number, layer in enumerate(layers)}
    users: list[list[int]] = [[] for _ in layers]
    for number, layer in enumerate(layers[1:], 1):
        for tensor in keras.tree.flatten(layer.input):
            users[made[id(tensor)]].append(number)
    passes, furthest = [], 0
    for number, layer in enumerate(layers[:-1]):
        # Nothing before this layer is used by anything after it.
        if number and furthest <= number and not _within(layer, [layers[k] for k in users[number]]):
            passes.append(number)
        furthest = max(furthest, *users[number])
    return passes


def _within(layer: Any, users: list[Any]) -> bool:
    """Whether a layer is the beginning of a convolution's normalisation and activation."""
    return isinstance(layer, (*CONVOLUTIONS, *NORMALS)) and any(
        isinstance(user, (*NORMALS, *ACTIVATIONS)) for user in users
    )


class Group(NamedTuple):
    """Layers that learn at one rate: their variables, and its share of the learning rate."""

    name: str
    layers: list[Any]
    share: float

    @property
    def variables(self) -> list[Any]:
        """What trains."""
        return [variable for layer in self.layers for variable in layer.trainable_variables]

    @property
    def paths(self) -> str:
        """A regular expression that matches the paths of these, and no others."""
        return f"^({'|'.join(re.escape(variable.path) for variable in self.variables)})$"


def groups(chosen: Parts, decay: float) -> list[Group]:
    """The head, then the upper and the lower half of the blocks' layers, each `decay` slower."""
    found = [Group("head", [chosen.head], 1.0)]
    if chosen.blocks is not None:
        layers = [layer for layer in chosen.blocks.layers if layer.trainable_variables]
        middle = len(layers) // 2
        found.append(Group("upper blocks", layers[middle:], decay))
        found.append(Group("lower blocks", layers[:middle], decay**2))
    return [group for group in found if group.variables]


def table(chosen: Parts, decay: float, rate: float) -> str:
    """What is frozen and what trains in both stages, a line a part."""
    rows = [["part", "layers", "parameters", "first stage", "second stage"]]
    frozen = chosen.frozen
    last = frozen.layers[-1].name
    rows.append([f"frozen, to {last}", str(len(frozen.layers)), f"{frozen.count_params():,}"])
    rows[-1] += ["frozen", "frozen"]
    for group in reversed(groups(chosen, decay)):
        count = sum(layer.count_params() for layer in group.layers)
        first = "trains" if group.name == "head" else "frozen"
        second = f"rate {rate * group.share:.2g}" if chosen.blocks is not None else "none"
        rows.append([group.name, str(len(group.layers)), f"{count:,}", first, second])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)
