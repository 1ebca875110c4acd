"""Classify photographs by fine-tuning a pre-trained network.

    athanor finetune train --data folder:PATH
    athanor finetune train --data tfds:tf_flowers160 --weights ../shared/data/keras_weights

Features of frozen layers are computed once per image, not once per epoch. The embedded data are
the digits 5 to 9, with a small network that is trained on the digits 0 to 4 at the start.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import TABLE_KINDS, App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MAX_AUTOMATIC_EXAMPLES = 20_000  # images times copies of each
MAX_AUTOMATIC_COPIES = 4  # of each image
MIN_STEPS_PER_EPOCH = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetune(App):
    """Classify pictures of any size and colour with a pre-trained backbone.

    The first stage fits the head, a logistic regression, to features of the frozen backbone,
    once for each of several L2 penalties. The second stage trains the best of these heads
    together with the backbone's top blocks; lower layers have lower learning rates. An epoch of
    the second stage replaces the best head only if its validation loss is lower by more than
    the standard error of the difference.
    """

    modality: ClassVar[ModalityName] = "image"
    tasks: ClassVar[tuple[TaskName, ...]] = ("classification",)
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    address_kinds: ClassVar[tuple[str, ...]] = ("embedded", "tfds", "folder", *TABLE_KINDS)
    column_fields: ClassVar[tuple[str, ...]] = ("image", "target")
    default_learning_rate: ClassVar[float] = 1e-3
    default_batch_size: ClassVar[int] = 32
    # A step of MobileNet, mostly depthwise convolutions, took 2 to 3 times as long in bfloat16.
    compute_dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(2e-4, 5e-3, log=True),
        "unfreeze": (0.0, 0.45, 0.9),
        "decay": (0.1, 0.2, 0.5),
        "dropout": (0.0, 0.2, 0.5),
        "augment": ("auto", "flip", "crop", "colour", "randaugment", "mixup", "cutmix"),
    }

    data: Address = "embedded"
    """Address of the data: embedded, tfds:NAME, folder:PATH (or the path of the folder), or the
    path of a table of image files and classes."""
    image: str = ""
    """Column of the paths of images in a table; by default path, file, image or a similar name."""
    target: str = ""
    """Column of classes in a table; by default label, class or a similar name."""
    epochs: int = bounded(8, 0)
    """Maximum number of passes over the training features in the second stage; 0 trains the head
    alone."""
    head_epochs: int = bounded(10, 1)
    """Maximum number of penalties that the first stage tries for the head, from strong to weak."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 32, or fewer so that an epoch has twenty
    steps."""
    optimizer: str = "adamw"
    """An optimizer of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate of the head in the second stage; by default 0.001 for adamw, otherwise
    the optimizer's own default. For the small network of the embedded digits it is multiplied by
    ten."""
    balance: bool = False
    """Give all classes the same total weight in training; scores count the images as they are."""
    backbone: str = "auto"
    """The pre-trained network, such as mobilenet_0.75, mobilenetv2_0.35 or efficientnetv2b0; a
    number is the width multiplier. auto is digits for embedded data, else mobilenet_0.75."""
    weights: str = "imagenet"
    """Weights of the backbone: imagenet (downloaded once), a file or a directory that contains it,
    or none."""
    size: int = bounded(0, 0, 4097)
    """Side of the square images, in pixels; 0 is 224, or 96 if the images are that small."""
    exif: Literal["upright", "ignore"] = "upright"
    """Orientation that a camera stores in a photograph: turn the picture upright, or ignore it."""
    augment: Literal[
        "auto", "none", "flip", "crop", "rotate", "colour", "randaugment", "mixup", "cutmix"
    ] = "auto"
    """Augmentation in training. Every choice except none also mirrors images; mixup and cutmix mix
    two examples' features at the output of the frozen layers. auto is none for the embedded
    digits, else crop."""
    strength: float = bounded(1.0, 0.0, 10.0)
    """Strength of the augmentation; with 0, images are only mirrored."""
    copies: int | None = bounded(None, 1, 1001)
    """Versions of each image whose features are computed: the original, then mirrored and augmented
    ones; by default 4, or 3 or 2 for more than 5,000 images. Without augmentation always 1."""
    unfreeze: float = bounded(0.9, 0.0, 1.0)
    """Fraction of the backbone's weights, from the top, that the second stage trains."""
    decay: float = bounded(0.2, 0.0)
    """Layer-wise learning rate decay: the upper half of the trained layers has the head's learning
    rate times this factor, the lower half that of the upper half times this factor."""
    batch_norm: Literal["frozen", "learn"] = "frozen"
    """Batch normalisation in the trained blocks: frozen at pre-trained statistics, or trained."""
    dropout: float = bounded(0.2, 0.0, 1.0)
    """Fraction of pooled features dropped at random in the second stage."""

    @classmethod
    def tiny(cls) -> "Finetune":
        """Return the embedded digits, two epochs for each stage."""
        return cls(epochs=2, head_epochs=2)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features uint8 [size, size, 3], target int64 class numbers."""
        from apps.finetune import backbones
        from pipelines import embedded, sources
        from pipelines.class_balance import balance_classes
        from pipelines.images import photos
        from pipelines.images import preprocessing as images
        from pipelines.images.path_columns import PathColumns

        backbones.require(self._resolved_backbone)
        small = photos.FitPhoto((self.size or 8, self.size or 8, 3))
        splits = sources.load(
            self.data,
            embedded=lambda: embedded.high_digits(small),
            test=self.test,
            data_dir=data_dir,
            fitting=photos.SquarePhotos(self.size, upright=self.exif == "upright"),
            paths=PathColumns(self.image, self.target),
            inspection=inspection,
        )
        images.require_classes(splits, self.data)
        return balance_classes(splits) if self.balance else splits

    def make_preprocessing(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Return the only layer that scales pixels to the backbone's input range."""
        from apps.finetune import backbones

        return backbones.rescaling(self._resolved_backbone)

    def make_input_decoder(self, splits: "Splits") -> Any:
        """Return the decoder from an image of any size and colour to one like those of training."""
        from pipelines.images.photos import FitPhoto

        return FitPhoto(splits.spec["features"][0], upright=self.exif == "upright")

    def make_loss(self, splits: "Splits") -> Any:
        """Cross-entropy between distributions and logits, with label smoothing of 0.1."""
        import keras

        from apps.finetune.weighted_targets import WeightedTargetLoss

        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
        return WeightedTargetLoss(loss) if splits.balance else loss

    def automatic_batch_size(self, count: int) -> int:
        """Return the default, or fewer so that an epoch has at least twenty steps."""
        return min(self.default_batch_size, max(1, count // MIN_STEPS_PER_EPOCH))

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """Return the values of every app, and those of backbone, size, augment and copies."""
        automatic = {
            "backbone": self._resolved_backbone,
            "size": splits.spec["features"][0][0],
            "augment": self._resolved_augment,
            "copies": self._num_copies(len(splits.train)),
        }
        return super().automatic_values(splits, batch_size, steps) | {
            name: value for name, value in automatic.items() if value != getattr(self, name)
        }

    def make_network(self, splits: "Splits") -> Any:
        """[batch, size, size, 3] -> logits [batch, classes]."""
        from apps.finetune import backbones, freezing

        side = splits.spec["features"][0][0]
        return freezing.divide(
            backbones.build(self._resolved_backbone, side, self.weights),
            len(splits.labels),
            trainable=self.unfreeze,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        ).network()

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Run both stages on features that the frozen layers compute once."""
        from apps.finetune import freezing, two_stage
        from pipelines.images.photo_augmentation import (
            mixing_augmentation,
            single_image_augmentation,
        )

        parts = freezing.parts_of(model)
        rate = self._head_learning_rate(fit_data.steps_per_epoch * self.epochs)
        if options.get("verbose"):
            print(freezing.describe(parts, self.decay, rate))
            print(f"batch normalisation in the blocks: {self.batch_norm}", flush=True)
        plan = two_stage.TwoStagePlan(
            copies=self._num_copies(len(fit_data.splits.train)),
            augment=single_image_augmentation(self._resolved_augment, self.strength),
            mix=mixing_augmentation(self._resolved_augment, self.strength),
            batch_size=fit_data.batch_size,
            epochs=(self.head_epochs, self.epochs),
            make_optimizer=dataclasses.replace(self, learning_rate=rate).make_optimizer,
            decay=self.decay,
            loss=self.make_loss(fit_data.splits),
            seed=self.seed,
        )
        two_stage.fit(parts, fit_data, plan, **options)

    @property
    def total_epochs(self) -> int:
        """Maximum number of epochs of both stages together."""
        return self.head_epochs + self.epochs

    @property
    def _resolved_backbone(self) -> str:
        if self.backbone != "auto":
            return self.backbone
        return "digits" if self.data == "embedded" else "mobilenet_0.75"

    @property
    def _resolved_augment(self) -> str:
        if self.augment != "auto":
            return self.augment
        return "none" if self.data == "embedded" else "crop"

    def _num_copies(self, count: int) -> int:
        if self._resolved_augment == "none":
            return 1
        if self.copies is not None:
            return self.copies
        return min(MAX_AUTOMATIC_COPIES, max(2, MAX_AUTOMATIC_EXAMPLES // count))

    def _head_learning_rate(self, steps: int) -> float:
        """Return the head's peak learning rate in a second stage of `steps` steps."""
        import optimizers
        from apps.finetune import backbones

        rate = self.peak_learning_rate_for(steps)
        if not optimizers.is_learning_rate_free(self.optimizer):
            rate *= backbones.learning_rate_scale(self._resolved_backbone)
        return rate
