"""Classify small images, grey or colour, such as those of MNIST.

    athanor mnist train --data tfds:mnist

One to two minutes on two cores; at least 99.4 % of the test digits are right (a slow test
requires it).
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MIN_STEPS_PER_EPOCH = 12  # with the default batch size and learning rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mnist(App):
    """Classify small images of one size, such as digits, clothes or symbols.

    Shape, colours and classes are read from the data; images of several sizes are resized to
    squares of the median side.
    """

    modality: ClassVar[ModalityName] = "image"
    tasks: ClassVar[tuple[TaskName, ...]] = ("classification",)
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    address_kinds: ClassVar[tuple[str, ...]] = ("embedded", "tfds", "folder", "npz", "csv")
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {
        "softmax_regression": {"model": "softmax"}
    }
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.05, 0.8, log=True),
        "batch_size": (48, 96, 192),
        "dropout": (0.0, 0.2, 0.4),
        "augment": (0.0, 0.5, 1.0),
    }

    data: Address = "embedded"
    """Address of the data: embedded, tfds:NAME, folder:PATH of class folders, npz:PATH (x_train,
    y_train or x, y), or csv:PATH with a label and pixels in each row."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 96, or fewer with under 1,152 training
    examples."""
    balance: bool = False
    """Give all classes the same total weight in training; scores count the images as they are."""
    model: Literal["softmax", "mlp", "cnn"] = "cnn"
    """softmax regression, mlp (a perceptron with two hidden layers), or cnn (a convolutional
    network)."""
    augment: float = bounded(1.0, 0.0, 10.0)
    """Strength of random rotation, zoom and shift in training; 0 is none."""
    dropout: float = bounded(0.0, 0.0, 1.0)
    """Fraction of the last hidden units dropped at random in training."""
    l2: float = bounded(0.0, 0.0)
    """L2 penalty on the kernels."""
    batch_norm: bool = True
    """Batch normalisation of each hidden layer."""

    @classmethod
    def tiny(cls) -> "Mnist":
        """Return a perceptron on the embedded digits."""
        return cls(model="mlp", epochs=2, batch_size=64)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features uint8 [height, width, channels], target int64 class numbers."""
        from pipelines import embedded, sources
        from pipelines.class_balance import balance_classes
        from pipelines.images import photos
        from pipelines.images import preprocessing as images

        splits = sources.load(
            self.data,
            embedded=embedded.digits,
            test=self.test,
            data_dir=data_dir,
            fitting=photos.SmallImageFitting(),
            arrays=True,
            inspection=inspection,
        )
        images.require_classes(splits, self.data)
        return balance_classes(splits) if self.balance else splits

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the layer that scales pixels to mean 0 and standard deviation 1."""
        from pipelines.images.preprocessing import Standardize

        return Standardize.adapted(splits.train)

    def make_input_decoder(self, splits: "Splits") -> Any:
        """Return the decoder from an image of any size and colour to one like those of training."""
        from pipelines import addresses
        from pipelines.images.photos import SmallImageFitting
        from pipelines.images.preprocessing import FitImage

        kind, _ = addresses.parse_address(self.data, self.address_kinds)
        if kind == "folder":  # training used this decoder for its files
            return SmallImageFitting().like(splits.spec["features"][0])
        return FitImage.adapted(splits.train)

    def automatic_batch_size(self, count: int) -> int:
        """Return the default, or less for few examples: in proportion to the root of their count.

        An epoch of a few steps would leave too few steps in all.
        """
        few = count / (MIN_STEPS_PER_EPOCH * self.default_batch_size)
        return max(1, round(self.default_batch_size * min(1.0, few) ** 0.5))

    def peak_fraction(self, steps: int) -> float:
        """Return the factor of every app, times that of a smaller automatic batch, squared.

        Without the square three runs on 300 digits ended at 0.67 to 0.89 accuracy, and end at 0.90
        with it.
        """
        fraction = super().peak_fraction(steps)
        if self.batch_size is not None or self.schedule == "constant":
            return fraction
        # Steps per epoch, too, are in proportion to the root of the number of examples.
        return fraction * min(1.0, steps / (self.epochs * MIN_STEPS_PER_EPOCH)) ** 2

    def make_augmentation(self) -> Callable[[Any, Any, Any], Any] | None:
        """Random rotation, zoom and shift of the strength `augment`."""
        from pipelines.images.augmentation import random_affine

        return random_affine(self.augment) if self.augment else None

    def make_loss(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Cross-entropy of logits, with label smoothing of 0.02."""
        from apps.networks import SmoothedCrossentropy

        return SmoothedCrossentropy(0.02)

    def make_network(self, splits: "Splits") -> Any:
        """[batch, height, width, channels] -> logits [batch, classes]."""
        import keras

        from apps import networks

        shape, _ = splits.spec["features"]
        images = keras.Input(shape)
        hidden = networks.Hidden(l2=self.l2, batch_norm=self.batch_norm)
        if self.model == "softmax":
            x = keras.layers.Flatten()(images)
        elif self.model == "mlp":
            x = networks.perceptron(images, hidden)
        else:
            x = networks.convolutions(images, hidden)
        num_classes = len(splits.labels)
        return networks.classifier(
            images, x, num_classes=num_classes, hidden=hidden, dropout=self.dropout
        )
