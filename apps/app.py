"""What every application is: fields, data, preparation, model, fit."""

import abc
import dataclasses
import difflib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from apps.fields import Address, FieldError, Range, bounded, check
from apps.fit_data import FitData
from pipelines.files import without_home

if typing.TYPE_CHECKING:
    from pipelines.splits import Splits

ModalityName = Literal["image", "row", "text", "ids"]
TaskName = Literal["classification", "regression", "ranking"]

SETTLED = 120  # steps after which a network stands its learning rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class App(abc.ABC):
    """Hyperparameters are the fields, construction is the methods.

    Class variables name the modality of the inputs, the task (classification wherever
    the data have labels), the fields that a search may draw, and the dtypes between
    which the program may choose.
    """

    modality: ClassVar[ModalityName]
    default_task: ClassVar[TaskName]
    metrics: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]
    space: ClassVar[dict[str, tuple | Range]]
    compute_dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")
    address_kinds: ClassVar[tuple[str, ...]] = ("embedded", "tfds", "csv")  # kinds that it reads
    column_fields: ClassVar[tuple[str, ...]] = ()  # fields that name columns of a table
    default_learning_rate: ClassVar[float] = 0.2  # of the default optimizer
    default_batch_size: ClassVar[int] = 96
    # By the name of a baseline: the fields that train such a model.
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {}

    data: Address = "embedded"
    """Address of the data: embedded, or tfds:NAME."""
    test: Address = ""
    """Address of a test set of its own, as of --data; by default the data's official test split."""
    epochs: int = bounded(12, 1)
    """Passes over the training examples, at most."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 96, or all where they are fewer."""
    optimizer: str = "nesterov"
    """One of ours or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak of the learning rate; by default 0.2 of nesterov, another optimizer's own default."""
    schedule: Literal["auto", "cosine", "warmup", "constant"] = "auto"
    """Course of the learning rate: warm-up and a cosine to zero, warm-up alone (both in runs of
    under 120 steps with a lower peak, unless --learning-rate is given), or constant. auto is
    cosine; warmup for schedulefree, which averages instead; constant for prodigy, which finds its
    rate itself."""
    patience: int = bounded(5, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    seed: int = bounded(0, 0, 2**31)
    """Fixes initial weights, order of examples, augmentation and dropout."""

    def __post_init__(self) -> None:
        for name in ("data", "test"):
            object.__setattr__(self, name, self._address(getattr(self, name)))
        check(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str):  # an address or a path, perhaps
                object.__setattr__(self, field.name, without_home(value))

    def _address(self, value: Any) -> Any:
        """The address of data given as a path, a frame or arrays; an address as it is."""
        if isinstance(value, str):
            return value
        from pipelines import frames

        if isinstance(value, Path):
            return str(value)
        return frames.address(value, self.address_kinds) if frames.is_data(value) else value

    @classmethod
    def name(cls) -> str:
        """What the command line and the run directory call this app."""
        return cls.__name__.lower()

    @classmethod
    @abc.abstractmethod
    def tiny(cls) -> "App":
        """An instance that trains offline in seconds; the contract tests run it."""

    def require_data(self) -> None:
        """Raise DataError for an address, path or column that is not there, without TensorFlow."""
        from pipelines import preflight

        named = {f"--{name}": getattr(self, name) for name in self.column_fields}
        for address, columns in ((self.data, named), (self.test, {})):
            if address:
                preflight.require(address, self.address_kinds, columns)

    @abc.abstractmethod
    def load_splits(self, data_dir: Path | None = None) -> "Splits":
        """Raw, unbatched examples. Raises DataError where they are not of this app's kind."""

    @abc.abstractmethod
    def make_preprocessing(self, splits: "Splits") -> Any:
        """The deterministic Keras layer from raw input to model input, learnt on train alone."""

    @abc.abstractmethod
    def make_network(self, splits: "Splits") -> Any:
        """The uncompiled keras.Model from prepared input to logits or numbers."""

    @abc.abstractmethod
    def make_loss(self, splits: "Splits") -> Any:
        """The keras.losses.Loss between the target and what `network` gives."""

    def make_output_layer(self, splits: "Splits") -> Any:
        """The Keras layer from what `network` gives to the answer; None where they are the same.

        The answer is probabilities [batch, classes], or numbers [batch] in the target's unit.
        """
        if self.task_of(splits) != "classification":
            return None
        import keras

        return keras.layers.Softmax(dtype="float32", name="probabilities")

    def task_of(self, splits: "Splits") -> TaskName:
        """The task that these data define: classification if they have labels."""
        return "classification" if splits.labels else self.default_task

    def sequence_lengths(self, splits: "Splits") -> Any:  # noqa: ARG002
        """The size of each training example, so that like meets like in a batch; None for any."""
        return None

    def max_length(self) -> int | None:
        """Words of a text that the network reads; None where it reads all, or no texts."""
        return None

    def make_input_decoder(self, splits: "Splits") -> Any:  # noqa: ARG002
        """How one input from outside becomes a raw one; None where they are the same."""
        return None

    def make_augmentation(self) -> Callable[[Any, Any, Any], Any] | None:
        """The random change of raw training batches; None for none.

        From (features, target, integer seed [2]) to (features, target).
        """
        return None

    def effective_batch_size(self, count: int) -> int:
        """Examples in one step, of `count` to train on.

        Raises FieldError where --batch-size is more than there are.
        """
        if self.batch_size is None:
            return min(self.automatic_batch_size(count), count)
        if count < self.batch_size:
            raise FieldError(
                f"Received --batch-size {self.batch_size}; expected at most the {count} "
                "training examples."
            )
        return self.batch_size

    def automatic_batch_size(self, count: int) -> int:  # noqa: ARG002
        """Examples in one step where --batch-size is not given; `batch` takes at most `count`."""
        return self.default_batch_size

    @property
    def total_epochs(self) -> int:
        """Of all stages together, at most."""
        return self.epochs

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate that was asked for, or what suits the optimizer.

        What suits one is far too much or too little for another.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        import optimizers

        usual = optimizers.normalized_name(self.optimizer) == type(self).optimizer
        return (
            self.default_learning_rate
            if usual
            else optimizers.default_learning_rate(self.optimizer)
        )

    def peak_learning_rate_for(self, steps: int) -> float:
        """The highest learning rate in `steps` steps; --learning-rate is taken as it is."""
        import optimizers

        if self.learning_rate is not None or optimizers.is_learning_rate_free(self.optimizer):
            return self.peak_learning_rate
        return self.peak_learning_rate * self.peak_fraction(steps)

    def peak_fraction(self, steps: int) -> float:
        """How much of the automatic peak a run of `steps` steps reaches."""
        # Before its statistics settle a network does not stand the peak: on the embedded
        # digits two epochs, 24 steps, ended at 0.15 accuracy with it and end at 0.76 now.
        return 1.0 if self.schedule == "constant" else min(1.0, steps / SETTLED)

    def make_schedule(self, steps: int) -> Any:
        """The learning rate over a run of `steps` steps: a float or a Keras schedule.

        Raises FieldError for --schedule cosine with an optimizer that averages its weights instead.
        """
        from optimizers import learning_rates

        return learning_rates.make_schedule(
            self.optimizer, self.schedule, self.peak_learning_rate_for(steps), steps
        )

    def make_optimizer(self, steps: int) -> Any:
        """The Keras optimizer of a run of `steps` steps."""
        import optimizers

        return optimizers.get(self.optimizer, self.make_schedule(steps))

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:  # noqa: ARG002
        """The values of those fields that were left to this app, for these data, batches, steps.

        With them as flags the same run comes out.
        """
        from optimizers import learning_rates

        left = {"batch_size": batch_size, "learning_rate": self.peak_learning_rate_for(steps)}
        found: dict[str, Any] = {k: one for k, one in left.items() if getattr(self, k) is None}
        if self.schedule == "auto":
            found["schedule"] = learning_rates.default_schedule(self.optimizer)
        return found

    def searchable_fields(self, splits: "Splits") -> set[str]:  # noqa: ARG002
        """Those fields of `space` that matter on these data."""
        return set(self.space)

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Train a compiled model; options are those of keras.Model.fit."""
        model.fit(
            fit_data.train,
            validation_data=fit_data.valid,
            steps_per_epoch=fit_data.steps_per_epoch,
            initial_epoch=fit_data.position.initial_epoch(range(self.epochs)),
            epochs=self.epochs,
            shuffle=False,
            **options,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields; `from_json` takes them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "App":
        """An app of these fields. Raises FieldError on a name that is not one."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise FieldError(f"Received the field {name!r}; {cls.name()} has none.{hint}")
        return cls(**fields)
