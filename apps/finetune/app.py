"""Photographs in classes, on a network that somebody trained before.

    athanor finetune train --data folder:PATH
    athanor finetune train --data tfds:tf_flowers160 --weights ../shared/data/keras_weights

What is frozen is computed once a picture, not once an epoch. The embedded data are
the digits 5 to 9, on a small network that learns the digits 0 to 4 at the run's beginning.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from pipelines.splits import Splits

MANY = 20_000  # pictures with their copies
DEFAULT_COPIES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetune(App):
    """Classify pictures of any size and colour with a pre-trained backbone.

    First the head is fitted to the features of the frozen backbone, by logistic
    regressions of several penalties, then the backbone's top blocks are trained with
    the best of them, more slowly the deeper they lie. The best epoch of both stages is
    kept: one of the second only if its validation loss is lower than the head's by more
    than the standard error of the difference.
    """

    modality: ClassVar[ModalityName] = "image"
    default_task: ClassVar[TaskName] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    address_kinds: ClassVar[tuple[str, ...]] = ("embedded", "tfds", "folder")
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
    """Address of the data: embedded, tfds:NAME, or folder:PATH (or the path of the folder)."""
    epochs: int = bounded(8, 0)
    """Passes over the training features in the second stage, at most; 0 trains the head alone."""
    head_epochs: int = bounded(10, 1)
    """Penalties of the head that the first stage tries, from strong to weak, at most."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 32, or so few that an epoch has twenty
    steps."""
    optimizer: str = "adamw"
    """One of ours or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak of the learning rate of the head in the second stage. By default 0.001 of adamw, and
    another optimizer's own default. The small network of the embedded digits learns ten times as
    fast."""
    backbone: str = "auto"
    """The network trained before, such as mobilenet_0.75, mobilenetv2_0.35 or efficientnetv2b0; a
    number is the width multiplier. auto is digits for embedded data, else mobilenet_0.75."""
    weights: str = "imagenet"
    """Where the backbone's weights come from: imagenet (downloaded once), a file or a directory
    that holds it, or none."""
    size: int = bounded(0, 0, 4097)
    """Side of the square pictures, in pixels; 0 for 224, or 96 where the data's are that small."""
    augment: Literal[
        "auto", "none", "flip", "crop", "rotate", "colour", "randaugment", "mixup", "cutmix"
    ] = "auto"
    """Kind of change in training. All but none mirror; mixup and cutmix mix two examples' features
    where the frozen part ends. auto is none for the embedded digits, else crop."""
    strength: float = bounded(1.0, 0.0, 10.0)
    """Strength of the change; 0 mirrors only."""
    copies: int | None = bounded(None, 1, 1001)
    """Versions of each picture whose features are computed: itself, its mirror image, changed; by
    default four, two or three where there are more than 5,000 pictures, one without a change."""
    unfreeze: float = bounded(0.9, 0.0, 1.0)
    """Share of the backbone's weights, from its top, that the second stage trains."""
    decay: float = bounded(0.2, 0.0)
    """What the learning rate is multiplied by from the head to the upper half of those, and
    from there to the lower."""
    batch_norm: Literal["frozen", "learn"] = "frozen"
    """Batch normalisation in the blocks that train: as it came, or learning too."""
    dropout: float = bounded(0.2, 0.0, 1.0)
    """Share of the pooled features silenced at random in the second stage."""

    @classmethod
    def tiny(cls) -> "Finetune":
        """The embedded digits, two epochs a stage."""
        return cls(epochs=2, head_epochs=2)

    def load_splits(self, data_dir: Path | None = None) -> "Splits":
        """Features uint8 [size, size, 3], target int64 class numbers."""
        from apps.finetune import backbones
        from pipelines import embedded, sources
        from pipelines.images import photos
        from pipelines.images import preprocessing as images

        backbones.require(self._backbone)
        small = photos.FitPhoto((self.size or 8, self.size or 8, 3))
        splits = sources.load(
            self.data,
            embedded=lambda: embedded.high_digits(small),
            test=self.test,
            data_dir=data_dir,
            fitting=photos.Squares(self.size),
        )
        images.require_classes(splits, self.data)
        return splits

    def make_preprocessing(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Pixels in the backbone's range: here and nowhere else."""
        from apps.finetune import backbones

        return backbones.rescaling(self._backbone)

    def make_input_decoder(self, splits: "Splits") -> Any:
        """How a picture of any size and colour becomes one like the training pictures."""
        from pipelines.images.photos import FitPhoto

        return FitPhoto(splits.spec["features"][0])

    def make_loss(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Cross-entropy of logits against distributions, a little smoothed."""
        import keras

        return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)

    def automatic_batch_size(self, count: int) -> int:
        """As of every app, but of few pictures so few that an epoch has twenty steps."""
        return min(self.default_batch_size, max(1, count // 20))

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """As of every app, and the backbone, the size of pictures and their change."""
        found = super().automatic_values(splits, batch_size, steps)
        side = splits.spec["features"][0][0]
        taken = {
            "backbone": self._backbone,
            "size": side,
            "augment": self._kind,
            "copies": self._copies(len(splits.train)),
        }
        return found | {name: one for name, one in taken.items() if one != getattr(self, name)}

    def make_network(self, splits: "Splits") -> Any:
        """[batch, size, size, 3] -> logits [batch, classes]."""
        from apps.finetune import backbones, freezing

        side = splits.spec["features"][0][0]
        return freezing.parts(
            backbones.build(self._backbone, side, self.weights),
            len(splits.labels),
            share=self.unfreeze,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        ).network()

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Both stages, over features computed once."""
        from apps.finetune import freezing, two_stage
        from pipelines.images.photo_augmentation import altered, mixed

        parts = freezing.found(model)
        rate = self._rate(fit_data.steps_per_epoch * self.epochs)
        if options.get("verbose"):
            print(freezing.table(parts, self.decay, rate))
            print(f"batch normalisation in the blocks: {self.batch_norm}", flush=True)
        plan = two_stage.Plan(
            copies=self._copies(len(fit_data.splits.train)),
            change=altered(self._kind, self.strength),
            mix=mixed(self._kind, self.strength),
            batch_size=fit_data.batch_size,
            epochs=(self.head_epochs, self.epochs),
            optimizer=dataclasses.replace(self, learning_rate=rate).make_optimizer,
            decay=self.decay,
            loss=self.make_loss(fit_data.splits),
            seed=self.seed,
        )
        two_stage.run(parts, fit_data, plan, **options)

    @property
    def total_epochs(self) -> int:
        """Of both stages."""
        return self.head_epochs + self.epochs

    @property
    def _backbone(self) -> str:
        if self.backbone != "auto":
            return self.backbone
        return "digits" if self.data == "embedded" else "mobilenet_0.75"

    @property
    def _kind(self) -> str:
        if self.augment != "auto":
            return self.augment
        return "none" if self.data == "embedded" else "crop"

    def _copies(self, count: int) -> int:
        if self._kind == "none":
            return 1
        if self.copies is not None:
            return self.copies
        return min(DEFAULT_COPIES, max(2, MANY // count))

    def _rate(self, steps: int) -> float:
        """The highest learning rate of the head in `steps` steps of the second stage."""
        import optimizers
        from apps.finetune import backbones

        rate = self.peak_learning_rate_for(steps)
        if not optimizers.is_learning_rate_free(self.optimizer):
            rate *= backbones.pace(self._backbone)
        return rate
