"""Predict a number or a class from a row of numbers and categories.

athanor regression train --data csv:housing.csv --target median_house_value
"""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData
from apps.regression import solvers

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MIN_STEPS_PER_EPOCH = 16  # if there are enough examples
MIN_BATCH_SIZE = 16  # examples


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
    column_fields: ClassVar[tuple[str, ...]] = ("target", "drop", "group", "by_time")
    default_batch_size: ClassVar[int] = 128
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.04, log=True),
        "width": (48, 96, 192),
        "dropout": (0.0, 0.1, 0.2),
        "batch_size": (64, 128, 256),
    }

    data: Address = "embedded"
    """Address of the data: embedded, the path of a table, - for standard input, or tfds:NAME."""
    target: str = "target"
    """Column to predict."""
    drop: str = ""
    """Columns to leave out, separated by commas."""
    group: str = ""
    """Column of groups, such as customers: all rows of one are in one split. It is no feature."""
    by_time: str = ""
    """Column of times: validation and test are the newest rows."""
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """What to predict: a number (regression) or a class; auto decides by the target."""
    model: Literal["blend", "tabm", "mlp", "boosted", "linear", "svm", "svm_rbf"] = "blend"
    """blend: tabm, boosted and linear, weighted on validation; tabm: an ensemble of networks over
    embedded numbers; mlp: a perceptron; boosted: gradient-boosted trees; linear: linear or
    logistic regression; svm, svm_rbf: a support vector machine, linear or with a radial kernel."""
    solver: Literal["auto", "exact", "batch", "stochastic", "minibatch"] = "auto"
    """Solver of linear models and support vector machines: exact (linear regression without L1),
    or gradient descent on all examples (batch), one (stochastic) or some (minibatch) at a time."""
    epochs: int = bounded(40, 1)
    """Maximum number of passes over the training examples."""
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
    """Units in each hidden layer."""
    dropout: float = bounded(0.1, 0.0, 1.0)
    """Fraction of hidden units dropped at random in training."""
    l1: float = bounded(0.0, 0.0)
    """L1 penalty on the kernels."""
    l2: float = bounded(0.0, 0.0)
    """L2 penalty on the kernels."""
    svm_c: float = bounded(1.0, 1e-12)
    """C of a support vector machine: the weight of its training errors against the L2 penalty."""

    @classmethod
    def tiny(cls) -> "Regression":
        """Return a small ensemble on the embedded patients."""
        return cls(epochs=2, width=8)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features float64 or texts by column; target float64, or int64 class numbers."""
        from pipelines import embedded, sources
        from pipelines.rows import reading as rows
        from pipelines.split_columns import SplitColumns
        from pipelines.tables.column_store import release_memory

        solvers.check_fields(self)
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
        )
        release_memory()
        solvers.resolve(self, splits)
        solvers.full_batch_solver(self, splits)
        return splits

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
        from apps.regression import networks
        from apps.regression.matrices import RowMatrices
        from apps.regression.trees import fit_trees

        prepare = self.make_preprocessing(splits)
        train = RowMatrices(prepare, splits.train)
        outputs = len(splits.labels) or 1
        hidden = networks.Hidden(self.width, self.dropout, self.l1, self.l2)
        if self.model in ("boosted", "blend"):
            trees = fit_trees(train, RowMatrices(prepare, splits.valid), len(splits.labels))
            if self.model == "boosted":
                return networks.boosted(trees, train)
        if self.model in ("tabm", "blend"):
            linear = solvers.fit_linear(train, len(splits.labels))
            members = networks.tabm(train, outputs, hidden, linear_weights=linear)
            return members if self.model == "tabm" else networks.blend(members, trees)
        if self.model == "mlp":
            return networks.perceptron(train, outputs, hidden)
        if self.model == "linear":
            return networks.linear(train, outputs, hidden.penalty())
        # |w|^2 / 2 + C times the sum of the losses, divided by C n.
        svm_l2 = 0.5 / (self.svm_c * len(splits.train))
        penalty = dataclasses.replace(hidden, l2=self.l2 + svm_l2).penalty()
        build = networks.linear if self.model == "svm" else networks.random_fourier_svm
        return build(train, outputs, penalty)

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
        """Return the fields of `space` without the shape of a linear model, and unused ones."""
        full_batch = solvers.full_batch_solver(self, splits)
        if self.model == "boosted":
            return set()
        has_members = self.model in ("blend", "tabm", "mlp")
        unused = set() if has_members else {"width", "dropout"}
        unused |= {"batch_size"} if self.solver in ("batch", "stochastic") else set()
        if solvers.resolve(self, splits) == "exact" or full_batch:
            unused |= {"learning_rate", "batch_size"}
        return {*self.space} - unused

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """Add the solver; a solver without steps has no batch size and no learning rate."""
        solver = solvers.resolve(self, splits)
        chose_solver = self.model == "linear" and solver != self.solver
        values = {"solver": solver} if chose_solver else {}
        without_steps = solver == "exact" or self.model == "boosted"
        if without_steps or solvers.full_batch_solver(self, splits):
            return values
        return values | super().automatic_values(splits, batch_size, steps)

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Solve a linear model exactly if that is possible; otherwise train."""
        splits = fit_data.splits
        if solver := solvers.full_batch_solver(self, splits):
            solvers.fit_full_batch(self, solver, model, fit_data, **options)
        elif self.model == "linear" and solvers.resolve(self, splits) == "exact":
            from apps.solving import solve

            solution = solvers.exact_solution(self, model, fit_data)
            solve(model, fit_data, solution, epochs=range(1), **options)
        elif self.model in ("boosted", "blend"):
            from apps.regression import blending

            loss = self.make_loss(splits)

            def loss_of(outputs: Any, target: Any) -> Any:
                return loss.call(target, outputs[:, None]).numpy()

            if self.model == "boosted":
                blending.fit_boosted_alone(model, fit_data, loss_of, **options)
            else:
                blending.fit_blend(model, fit_data, self._fit_members, loss_of, **options)
        elif self.model == "tabm":
            self._fit_members(model, fit_data, **options)
        else:
            super().fit(model, fit_data, **options)

    def _fit_members(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Train an ensemble of networks."""
        # The last callback: earlier ones may put averaged weights into the model, which validation
        # uses.
        callbacks = [*options["callbacks"], self._shrinkage(fit_data)]
        super().fit(model, fit_data, **{**options, "callbacks": callbacks})

    def _shrinkage(self, fit_data: FitData) -> Any:
        from apps.regression import shrinkage

        if fit_data.splits.labels:
            return shrinkage.ResidualShrinkage(fit_data, shrinkage.classification_scale)
        mean, deviation = solvers.mean_and_deviation(fit_data.splits.train)
        estimate = functools.partial(shrinkage.regression_scale, mean=mean, deviation=deviation)
        return shrinkage.ResidualShrinkage(fit_data, estimate)
