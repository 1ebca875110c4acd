"""The base class of all applications: fields, data, preprocessing, network, fit."""

import abc
import dataclasses
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from apps.data_addresses import as_address, require_addresses
from apps.fields import Address, FieldError, Range, bounded, check, flag_of, known_fields
from apps.fit_data import FitData, PreparedExamples
from apps.input_file import InputFile
from pipelines.files import replace_home

if typing.TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

ModalityName = Literal["image", "row", "text", "ids"]
TABLE_KINDS = ("parquet", "feather", "jsonl", "xlsx", "tsv", "csv")  # of addresses
TaskName = Literal["classification", "multilabel", "regression", "ranking"]

# Runs shorter than this many steps get a proportionally lower peak learning rate.
MIN_STEPS_FOR_FULL_PEAK = 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class App(abc.ABC):
    """An application: its fields are hyperparameters, its methods build what a run needs.

    Class variables name the modality of the inputs, the tasks (see `task_of`), the fields that a
    search may draw, and the dtypes that automatic precision may choose.
    """

    modality: ClassVar[ModalityName]
    tasks: ClassVar[tuple[TaskName, ...]]
    metrics: ClassVar[tuple[str, ...]]
    monitor: ClassVar[str]
    space: ClassVar[dict[str, tuple | Range]]
    compute_dtypes: ClassVar[tuple[str, ...]] = ("float32", "bfloat16")
    address_kinds: ClassVar[tuple[str, ...]] = ("embedded", "tfds", *TABLE_KINDS)
    address_fields: ClassVar[tuple[str, ...]] = ("data", "test")
    column_fields: ClassVar[tuple[str, ...]] = ()  # that name table columns
    default_learning_rate: ClassVar[float] = 0.2  # of the default optimizer
    default_batch_size: ClassVar[int] = 96
    max_epoch_examples: ClassVar[int | None] = None  # of more, each epoch takes a new sample
    # The fields that train a model of the same kind as a baseline, by the baseline's name.
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {}

    data: Address = "embedded"
    """Address of the data: embedded, or tfds:NAME."""
    test: Address = ""
    """Address of a separate test set, as for --data; by default the data's official test split."""
    epochs: int = bounded(12, 1)
    """Maximum number of passes over the training examples."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 96, or all if there are fewer."""
    optimizer: str = "nesterov"
    """An optimizer of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate; by default 0.2 for nesterov, otherwise the optimizer's own default."""
    schedule: Literal["auto", "cosine", "warmup", "constant"] = "auto"
    """Schedule of the learning rate: cosine (warm-up, then a cosine to zero), warmup (warm-up
    alone) or constant. Runs of under 120 steps have a lower peak with the first two, unless
    --learning-rate is given. auto is cosine; warmup for schedulefree, which averages weights
    instead; constant for prodigy, which estimates its learning rate."""
    patience: int = bounded(5, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    seed: int = bounded(0, 0, 2**31)
    """Seed of initial weights, order of examples, augmentation and dropout."""

    def __post_init__(self) -> None:
        for name in self.address_fields:
            object.__setattr__(self, name, as_address(getattr(self, name), self.address_kinds))
        check(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, str):  # it may be an address or a path
                object.__setattr__(self, field.name, replace_home(value))

    @classmethod
    def name(cls) -> str:
        """Name of this app on the command line and in run directories."""
        return cls.__name__.lower()

    @classmethod
    @abc.abstractmethod
    def tiny(cls) -> "App":
        """Return an instance that trains offline in seconds, for the tests that all apps share."""

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses of data that are given, by field."""
        return {name: given for name in self.address_fields if (given := getattr(self, name))}

    def require_data(self) -> None:
        """Raise DataError if an address, path or column does not exist. Needs no TensorFlow."""
        from pipelines import preflight

        table_columns = {flag_of(name): getattr(self, name) for name in self.column_fields}
        for name, address in self.addresses.items():
            columns = table_columns if name == "data" else {}
            preflight.check_address(address, self.address_kinds, columns)

    def input_files(self, splits: "Splits") -> dict[str, InputFile]:  # noqa: ARG002
        """Return the files beside the data that training reads, by field."""
        return {}

    @abc.abstractmethod
    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Read and split raw, unbatched examples. Raises DataError if this app cannot use them."""

    @abc.abstractmethod
    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the deterministic Keras layer from raw to model input, adapted to train alone."""

    @abc.abstractmethod
    def make_network(self, splits: "Splits") -> Any:
        """Return the uncompiled keras.Model from preprocessed input to logits or numbers."""

    @abc.abstractmethod
    def make_loss(self, splits: "Splits") -> Any:
        """Return the keras.losses.Loss between the target and the network's output."""

    def make_output_layer(self, splits: "Splits") -> Any:
        """Return the Keras layer from network output to prediction; None if they are equal.

        A prediction is probabilities [batch, classes], or numbers [batch] in the target's unit.
        """
        if not splits.labels:
            return None
        import keras

        if splits.is_multilabel:
            return keras.layers.Activation("sigmoid", dtype="float32", name="probabilities")
        return keras.layers.Softmax(dtype="float32", name="probabilities")

    def task_of(self, splits: "Splits") -> TaskName:
        """Return the task that these data define: by their labels, else the first one."""
        if not splits.labels:
            return self.tasks[0]
        return "multilabel" if splits.is_multilabel else "classification"

    def metric_names(self) -> tuple[str, ...]:
        """Return the names of the metrics of training."""
        return self.metrics

    def make_metrics(self, splits: "Splits") -> list[Any]:
        """Return the metrics of training: names of Keras, or its objects."""
        if splits.is_multilabel:
            from apps.micro_f1 import MicroF1

            return [MicroF1()]
        return list(self.metrics)

    def prepare_once(self, splits: "Splits", preprocessing: Any) -> PreparedExamples | None:  # noqa: ARG002
        """Return the examples as they are prepared before training; None if batches are."""
        return None

    def sequence_lengths(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Return the length of each training example, to batch similar ones; None if equal."""
        return None

    def max_length(self) -> int | None:
        """Return the maximum number of words that the network reads of a text; None for all."""
        return None

    def make_input_decoder(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Return the decoder from an outside input to a raw example; None if they are equal."""
        return None

    def make_augmentation(self) -> Callable[[Any, Any, Any], Any] | None:
        """Return a function that changes raw training batches at random, or None.

        It maps (features, target, integer seed [2]) to (features, target).
        """
        return None

    def effective_batch_size(self, count: int) -> int:
        """Return the examples in one step, given the number of training examples.

        Raises FieldError if --batch-size is larger than `count`.
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
        """Return the examples in one step if --batch-size is not given, before a cap at `count`."""
        return self.default_batch_size

    @property
    def total_epochs(self) -> int:
        """Maximum number of epochs of all stages together."""
        return self.epochs

    @property
    def peak_learning_rate(self) -> float:
        """The given peak learning rate, or the default of the optimizer: defaults differ much."""
        if self.learning_rate is not None:
            return self.learning_rate
        import optimizers

        if optimizers.normalized_name(self.optimizer) == type(self).optimizer:
            return self.default_learning_rate
        return optimizers.default_learning_rate(self.optimizer)

    def peak_learning_rate_for(self, steps: int) -> float:
        """Return the peak learning rate of a run of `steps` steps; --learning-rate wins."""
        import optimizers

        if self.learning_rate is not None or optimizers.is_learning_rate_free(self.optimizer):
            return self.peak_learning_rate
        return self.peak_learning_rate * self.peak_fraction(steps)

    def peak_fraction(self, steps: int) -> float:
        """Return the factor of the automatic peak learning rate in a run of `steps` steps."""
        # At the full peak, two epochs of the embedded digits, 24 steps, end at 0.15, not 0.76.
        if self.schedule == "constant" or not steps:  # finetune --epochs 0 takes no steps
            return 1.0
        return min(1.0, steps / MIN_STEPS_FOR_FULL_PEAK)

    def make_schedule(self, steps: int) -> Any:
        """Return the learning rate of a run of `steps` steps: a float or a Keras schedule.

        Raises FieldError for --schedule cosine with an optimizer that averages its weights.
        """
        from optimizers import learning_rates

        return learning_rates.make_schedule(
            self.optimizer, self.schedule, self.peak_learning_rate_for(steps), steps
        )

    def make_optimizer(self, steps: int) -> Any:
        """Return the Keras optimizer of a run of `steps` steps."""
        import optimizers

        return optimizers.get(self.optimizer, self.make_schedule(steps))

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:  # noqa: ARG002
        """Return the values that this app chose for its automatic fields.

        With them as flags the run is the same.
        """
        from optimizers import learning_rates

        found = {"batch_size": batch_size, "learning_rate": self.peak_learning_rate_for(steps)}
        values: dict[str, Any] = {key: found[key] for key in found if getattr(self, key) is None}
        if self.schedule == "auto":
            values["schedule"] = learning_rates.default_schedule(self.optimizer)
        return values

    def searchable_fields(self, splits: "Splits") -> set[str]:  # noqa: ARG002
        """Return the fields of `space` that have an effect on these data."""
        return set(self.space)

    def is_fitted_at_once(self, splits: "Splits") -> bool:  # noqa: ARG002
        """Return whether training has a single epoch, which cannot be shortened."""
        return False

    def seconds_after_epochs(self, building: float) -> float:  # noqa: ARG002
        """Return the time that `fit` takes after the epochs, given the time to build the model."""
        return 0.0

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Train a compiled model; `options` are passed to keras.Model.fit."""
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
        """Return the fields, from which `from_json` makes the app again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "App":
        """Return an app with these fields. Raises FieldError for an unknown name or a wrong value.

        Unlike the constructor it takes no frame: JSON would have it written to a file.
        """
        fields = known_fields(fields, cls, cls.name())
        require_addresses(fields, cls.address_fields)
        return cls(**fields)
