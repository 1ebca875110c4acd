"""Predict a number or a class from a row of numbers and categories.

athanor regression train --data csv:housing.csv --target median_house_value
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData
from apps.regression import solvers

if TYPE_CHECKING:
    from apps.regression.strategies import Strategy
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MIN_STEPS_PER_EPOCH = 16  # if there are enough examples
MIN_BATCH_SIZE = 16  # examples
# More get hidden layers of twice the width: for the 26 classes of letter recognition that lowered
# the validation loss by a quarter; for housing it took twice the time for no less error.
MAX_CLASSES_OF_WIDTH = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(App):
    """Predict a column of a table from the others: a number, or a class.

    Column types, missing cells and categories are detected in the data.
    """

    modality: ClassVar[ModalityName] = "row"
    tasks: ClassVar[tuple[TaskName, ...]] = ("regression", "classification")
    metrics: ClassVar[tuple[str, ...]] = ()
    monitor: ClassVar[str] = "val_loss"
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {
        "linear": {"model": "linear"},
        "boosting": {"model": "boosted"},
    }
    default_learning_rate: ClassVar[float] = 0.01
    column_fields: ClassVar[tuple[str, ...]] = (
        *("target", "beside", "drop", "as_"),
        *("group", "by_time", "weight"),
    )
    default_batch_size: ClassVar[int] = 128
    max_epoch_examples: ClassVar[int | None] = 2**19
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.04, log=True),
        "width": (48, 96, 192),
        "dropout": (0.0, 0.1, 0.2),
        "batch_size": (64, 128, 256),
    }

    data: Address = "embedded"
    """Address of the data: embedded, the path of a table, - for standard input, or tfds:NAME."""
    target: str = "target"
    """Column to predict; several, separated by commas, get a model each in one run."""
    beside: str = ""
    """Further targets, separated by commas: they are no features, and all have the same splits."""
    drop: str = ""
    """Columns to leave out, separated by commas."""
    as_: str = ""
    """Kinds of columns that are not inferred, such as zip=category,when=date:dmy,note=ignore:
    number, category, boolean, date, time, duration, text, list or ignore."""
    columns: str = ""
    """A table of columns and their kinds, such as the columns.csv of a run; --as overrides it."""
    group: str = ""
    """Column of groups, such as customers: all rows of one are in one split. It is no feature."""
    by_time: str = ""
    """Column of times: validation and test are the newest rows."""
    weight: str = ""
    """Column of example weights, 0 or more, for training and scores. It is no feature."""
    balance: bool = False
    """Give all classes the same total weight in training; scores count the rows as they are."""
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """What to predict: a number (regression) or a class; auto decides by the target."""
    model: Literal["auto", "blend", "tabm", "mlp", "boosted", "linear", "svm", "svm_rbf"] = "blend"
    """auto is blend: tabm, boosted, linear and kernels, weighted on held-out rows; tabm: an
    ensemble of networks over embedded numbers; mlp: a perceptron; boosted: gradient-boosted
    trees; linear: linear or logistic regression; svm, svm_rbf: a support vector machine, linear
    or with a radial kernel."""
    solver: Literal["auto", "exact", "batch", "stochastic", "minibatch"] = "auto"
    """Solver of linear models and support vector machines: exact (linear regression without L1),
    or gradient descent on all examples (batch), one (stochastic) or some (minibatch) at a time."""
    epochs: int = bounded(40, 1)
    """Maximum number of passes over the training examples; of more than 524,288 each pass takes
    as many, drawn at random."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 128, or a sixteenth of the training
    examples if that is less, but at least 16."""
    optimizer: str = "adamw"
    """An optimizer of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate; by default 0.01 for adamw, otherwise the optimizer's own default."""
    patience: int = bounded(20, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    width: int = bounded(96, 1, 2**16)
    """Units in each hidden layer; twice as many for more than ten classes."""
    dropout: float = bounded(0.1, 0.0, 1.0)
    """Fraction of hidden units dropped at random in training."""
    l1: float = bounded(0.0, 0.0)
    """L1 penalty on the kernels."""
    l2: float = bounded(0.0, 0.0)
    """L2 penalty on the kernels."""
    svm_c: float = bounded(1.0, 1e-12)
    """C of a support vector machine: the weight of its training errors against the L2 penalty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model == "auto":
            object.__setattr__(self, "model", type(self).model)  # the run stores what was chosen
        if self.columns:
            from pipelines.rows.requested_kinds import with_file

            # The run stores the kinds, not the path: the file may be edited for the next run.
            object.__setattr__(self, "as_", with_file(self.as_, self.columns))
            object.__setattr__(self, "columns", "")

    @classmethod
    def tiny(cls) -> "Regression":
        """Return a small ensemble on the embedded patients."""
        return cls(epochs=2, width=8)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features float64 or texts by column; target float64, or int64 class numbers."""
        from apps.regression.strategies import check_fields
        from apps.several_targets import column_list, require_one
        from pipelines import embedded, sources
        from pipelines.class_balance import balance_classes
        from pipelines.rows import reading as rows
        from pipelines.split_columns import SplitColumns
        from pipelines.tables.column_store import release_memory

        check_fields(self)
        require_one(self)
        split_columns = SplitColumns(self.group, self.by_time)
        # Without a variable the tables are freed as soon as the splits exist.
        splits = rows.splits(
            sources.tables(
                self.data,
                embedded.diabetes,
                test=self.test,
                data_dir=data_dir,
                inspection=inspection,
            ),
            self.target,
            self.drop,
            self.task,
            split_columns,
            inspection,
            kinds=self.as_,
            weight=self.weight,
            beside=column_list(self.beside),
        )
        release_memory()
        self._strategy(splits)
        # Of several targets, some may be numbers.
        balances = self.balance and (splits.labels or not self.beside)
        return balance_classes(splits) if balances else splits

    def make_input_decoder(self, splits: "Splits") -> Any:
        """Return the parser of each column's cells."""
        return splits.reading

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the layer from columns to standardised numbers, and flags of categories."""
        from pipelines.rows.preprocessing import PrepareColumns

        return PrepareColumns.adapted(splits.train)

    def make_loss(self, splits: "Splits") -> Any:
        """Squared error of the standardised target or cross-entropy; for an SVM its own loss."""
        from apps.regression import losses

        svm = self.model.startswith("svm")
        if splits.labels:
            return losses.Hinge() if svm else losses.Crossentropy()
        loss = losses.InsensitiveError if svm else losses.SquaredError
        return loss(*solvers.mean_and_deviation(splits.train))

    def make_network(self, splits: "Splits") -> Any:
        """`numbers` and `flags` -> [batch, members, 1 or classes]."""
        from apps.regression.matrices import RowMatrices
        from apps.regression.networks import Hidden

        train = RowMatrices(self.make_preprocessing(splits), splits.train)
        # |w|^2 / 2 + C times the sum of the losses, divided by C n.
        svm_l2 = 0.5 / (self.svm_c * len(train)) if self.model.startswith("svm") else 0.0
        width = self.width * (2 if len(splits.labels) > MAX_CLASSES_OF_WIDTH else 1)
        hidden = Hidden(width, self.dropout, self.l1, self.l2 + svm_l2)
        return self._strategy(splits).network(train, splits, hidden)

    def _strategy(self, splits: "Splits") -> "Strategy":
        """Raise FieldError if the model, solver and optimizer cannot be used together."""
        from apps.regression.strategies import strategy_of

        return strategy_of(self, splits)

    def make_output_layer(self, splits: "Splits") -> Any:
        """To probabilities [batch, classes], or numbers [batch] in the target's unit."""
        from apps.regression import layers

        if splits.labels:
            return layers.EnsembleProbabilities()
        return layers.Destandardize(*solvers.mean_and_deviation(splits.train))

    def make_optimizer(self, steps: int) -> Any:
        """Return the optimizer; for a solver, an unused one, because Keras needs one to compile."""
        import keras

        import optimizers

        if optimizers.get_solver(self.optimizer):
            return keras.optimizers.SGD(0.0)
        return super().make_optimizer(steps)

    def automatic_batch_size(self, count: int) -> int:
        """Return the batch size of the solver; otherwise smaller for few examples."""
        if self.solver in ("batch", "stochastic"):
            return count if self.solver == "batch" else 1
        return min(self.default_batch_size, max(MIN_BATCH_SIZE, count // MIN_STEPS_PER_EPOCH))

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """Return the fields of `space` that have an effect on this model and its solver."""
        return {*self._strategy(splits).searchable}

    def is_fitted_at_once(self, splits: "Splits") -> bool:
        """Return whether the model is solved exactly, or consists of trees."""
        return self.model in ("linear", "boosted") and not self._strategy(splits).has_steps

    def seconds_after_epochs(self, building: float) -> float:
        """Return the time to fit the trees of a blend again; the first time took no less."""
        return building if self.model == "blend" else 0.0

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """Add the solver; a solver without steps has no batch size and no learning rate."""
        strategy = self._strategy(splits)
        of_steps = super().automatic_values(splits, batch_size, steps) if strategy.has_steps else {}
        return strategy.automatic | of_steps

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Fit the model by its solver, or train it."""
        self._strategy(fit_data.splits).fit(self, model, fit_data, **options)
