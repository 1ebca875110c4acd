"""Rows of numbers and categories: a number or a class for each.

athanor regression train --data csv:housing.csv --target median_house_value
"""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, FieldError, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from pipelines.splits import Splits

SMALL = 16  # steps that an epoch has at least, where there are enough examples
LARGEST = 3_000  # weights of which a square matrix is kept
FEWEST = 16  # examples in a step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(App):
    """Predict a column of a table from the others: a number, or a class.

    Types, missing cells and categories are found in the data.
    """

    modality: ClassVar[ModalityName] = "row"
    default_task: ClassVar[TaskName] = "regression"
    metrics: ClassVar[tuple[str, ...]] = ()
    monitor: ClassVar[str] = "val_loss"
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {"linear": {"model": "linear"}}
    default_learning_rate: ClassVar[float] = 0.01
    column_fields: ClassVar[tuple[str, ...]] = ("target", "drop")
    default_batch_size: ClassVar[int] = 128
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.04, log=True),
        "width": (48, 96, 192),
        "dropout": (0.0, 0.1, 0.2),
        "batch_size": (64, 128, 256),
    }

    data: Address = "embedded"
    """Address of the data: embedded, csv:PATH (or the path of the file), or tfds:NAME."""
    target: str = "target"
    """The column to predict."""
    drop: str = ""
    """Columns to leave out, with commas between."""
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto"
    """What to predict: a number, or a class; auto looks at the target."""
    model: Literal["tabm", "mlp", "linear", "svm", "svm_rbf"] = "tabm"
    """A team of networks over embedded numbers, a perceptron, linear or logistic regression,
    or a support vector machine, linear or of a radial kernel."""
    solver: Literal["auto", "exact", "batch", "stochastic", "minibatch"] = "auto"
    """How a linear model or a support vector machine is solved: exactly (linear, numbers without
    L1), or by gradient descent on all examples, one, or a batch at a time."""
    epochs: int = bounded(40, 1)
    """Passes over the training examples, at most."""
    batch_size: int | None = bounded(None, 1)
    """Examples in one step, over all replicas; by default 128, or a sixteenth of the training
    examples where that is less, but at least 16."""
    optimizer: str = "adamw"
    """One of ours or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak of the learning rate; by default 0.01 of adamw, and another optimizer's own default."""
    patience: int = bounded(20, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    width: int = bounded(96, 1, 2**16)
    """Units of a hidden layer."""
    dropout: float = bounded(0.1, 0.0, 1.0)
    """Share of the hidden units silenced at random in training."""
    l1: float = bounded(0.0, 0.0)
    """L1 penalty on the kernels."""
    l2: float = bounded(0.0, 0.0)
    """L2 penalty on the kernels."""
    margin: float = bounded(1.0, 1e-12)
    """The C of a support vector machine: how much an example on the wrong side costs."""

    @classmethod
    def tiny(cls) -> "Regression":
        """A small team on the embedded patients."""
        return cls(epochs=2, width=8)

    def load_splits(self, data_dir: Path | None = None) -> "Splits":
        """Features float64 or texts by column; target float64, or int64 class numbers."""
        from pipelines import sources
        from pipelines.embedded import diabetes
        from pipelines.rows import reading as rows
        from pipelines.splits import split_source

        self._require_steps()
        tables = sources.tables(self.data, embedded=diabetes, test=self.test, data_dir=data_dir)
        drop = [name for name in self.drop.split(",") if name.strip()]
        splits = split_source(rows.source(tables, target=self.target, drop=drop, task=self.task))
        self._solver(splits)
        self._whole(splits)
        return splits

    def make_input_decoder(self, splits: "Splits") -> Any:
        """How the cells of each column are read."""
        return splits.reading

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Columns to standardised numbers and flags of categories and of gaps."""
        from pipelines.rows.preprocessing import PrepareColumns

        return PrepareColumns.adapted(splits.train)

    def make_loss(self, splits: "Splits") -> Any:
        """Squared error of the standardised target or cross-entropy; a machine's own."""
        from apps.regression import losses

        machine = self.model.startswith("svm")
        if splits.labels:
            return losses.Hinge() if machine else losses.Crossentropy()
        kind = losses.InsensitiveError if machine else losses.SquaredError
        return kind(*_unit(splits))

    def make_network(self, splits: "Splits") -> Any:
        """`numbers` and `flags` -> [batch, members, 1 or classes]."""
        from apps.regression import logistic, networks

        train = networks.Prepared(self.make_preprocessing(splits), splits.train)
        outputs = len(splits.labels) or 1
        hidden = networks.Hidden(self.width, self.dropout, self.l1, self.l2)
        if self.model == "tabm":
            classes, exact = bool(splits.labels), self._exact
            start = logistic.of_some(train, outputs) if classes else exact(splits, train, None)
            return networks.team(train, outputs, hidden, start=start)
        if self.model == "mlp":
            return networks.perceptron(train, outputs, hidden)
        if self.model == "linear":
            return networks.linear(train, outputs, hidden.penalty())
        # |w|^2 / 2 + C times the sum of the losses, divided by C n.
        soft = dataclasses.replace(hidden, l2=self.l2 + 0.5 / (self.margin * len(splits.train)))
        build = networks.linear if self.model == "svm" else networks.waves
        return build(train, outputs, soft.penalty())

    def make_output_layer(self, splits: "Splits") -> Any:
        """Probabilities [batch, classes], or numbers [batch] in the target's unit."""
        from apps.regression import layers as tabular

        return tabular.Probabilities() if splits.labels else tabular.InUnit(*_unit(splits))

    def make_optimizer(self, steps: int) -> Any:
        """Of a solver one that is never asked: a model is compiled with some."""
        import keras

        import optimizers

        if optimizers.get_solver(self.optimizer):
            return keras.optimizers.SGD(0.0)
        return super().make_optimizer(steps)

    def automatic_batch_size(self, count: int) -> int:
        """As the solver wants it; else fewer examples where they are few."""
        if self.solver in ("batch", "stochastic"):
            return count if self.solver == "batch" else 1
        return min(self.default_batch_size, max(FEWEST, count // SMALL))

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """Of a linear model no shape; of a solver that takes no steps neither batch nor rate."""
        linear, whole = self.model not in ("tabm", "mlp"), self._whole(splits)
        unused = {"width", "dropout"} if linear else set()
        unused |= {"batch_size"} if self.solver in ("batch", "stochastic") else set()
        if self._solver(splits) == "exact" or whole:
            unused |= {"learning_rate", "batch_size"}
        return {*self.space} - unused

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """As of every app, and the solver; one that takes no steps has neither batch nor rate."""
        solver = self._solver(splits)
        taken = {"solver": solver} if self.model == "linear" and solver != self.solver else {}
        if solver == "exact" or self._whole(splits):
            return taken
        return taken | super().automatic_values(splits, batch_size, steps)

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Solve a linear model exactly where that is possible; else train."""
        if solver := self._whole(fit_data.splits):
            self._solve_whole(solver, model, fit_data, **options)
            return
        if self.model == "tabm":
            from apps.regression import shrinkage as of

            mean, scale = _unit(fit_data.splits)
            numbers = functools.partial(of.share_of_numbers, mean=mean, scale=scale)
            trust = of.Trust(fit_data, of.share_of_classes if fit_data.splits.labels else numbers)
            # Last: the weights that it judges are those of the validation, which the first
            # callbacks may have averaged.
            super().fit(model, fit_data, **{**options, "callbacks": [*options["callbacks"], trust]})
            return
        if self.model != "linear" or self._solver(fit_data.splits) != "exact":
            super().fit(model, fit_data, **options)
            return
        from apps.solving import solve

        solve(model, fit_data, self._sweeps(model, fit_data), epochs=1, **options)

    def _solve_whole(self, solver: Any, model: Any, fit_data: FitData, **options: Any) -> None:
        """All iterations at once where there is one minimum; else blocks of them, as epochs."""
        from apps.full_batch import ITERATIONS, Whole
        from apps.regression.networks import Prepared
        from apps.solving import solve

        train = fit_data.splits.train
        prepared = Prepared(fit_data.prepare, train).arrays()
        whole = Whole(model, prepared, train.targets, self.make_loss(fit_data.splits))
        if solver.needs != "gradient" and whole.size > LARGEST:
            raise FieldError(
                f"Received --optimizer {self.optimizer} for a model of {whole.size:,} weights; "
                f"expected at most {LARGEST:,}, for it keeps a square of them. Lower --width, or "
                "take lbfgs."
            )
        limit = ITERATIONS * self.epochs
        if self.model == "linear":
            solve(model, fit_data, whole.sweeps(solver, limit, limit), epochs=1, **options)
        else:
            solve(model, fit_data, whole.sweeps(solver, limit), epochs=self.epochs, **options)

    def _whole(self, splits: "Splits") -> Any:
        """The solver of all examples at once that was asked for; None for an optimizer.

        Raises FieldError where it cannot solve this.
        """
        import optimizers

        solver = optimizers.get_solver(self.optimizer)
        if solver is None:
            return None
        curved, squares = solver.needs == "hessian", solver.needs == "gauss_newton"
        wrong = {
            "--model linear": curved and self.model != "linear",
            "--model linear or mlp": not curved and self.model not in ("linear", "mlp"),
            "no --l1": self.l1,
            "no --l2": squares and self.l2,
            "a target of numbers": squares and splits.labels,
            "--solver auto": self.solver != "auto",
        }
        if expected := [name for name, holds in wrong.items() if holds]:
            raise FieldError(
                f"Received --optimizer {self.optimizer}; expected {', '.join(expected)} with it."
            )
        return solver

    def _sweeps(self, model: Any, fit_data: FitData) -> Iterator[dict[str, float]]:
        import tensorflow as tf

        from apps.regression.networks import STRAIGHT, Prepared

        train = Prepared(fit_data.prepare, fit_data.splits.train)
        kernel, bias = self._exact(fit_data.splits, train, max(self.l2, 1e-9))
        model.get_layer(STRAIGHT).set_weights([kernel, bias])
        loss = self.make_loss(fit_data.splits)
        lost = sum(len(y) * float(loss(y, (x @ kernel + bias)[:, None])) for x, y in train.blocks())
        # Keras divides it among replicas, whose shares are added up.
        yield {"loss": lost / len(train) * tf.distribute.get_strategy().num_replicas_in_sync}

    def _exact(self, splits: "Splits", train: Any, l2: float | None) -> Any:
        from apps.ridge import ridge

        mean, scale = _unit(splits)
        blocks = ((x, (y.astype("float64") - mean) / scale) for x, y in train.blocks())
        return ridge(blocks, l2, wide=train.width > len(train))

    def _require_steps(self) -> None:
        """Raise FieldError where the fields disagree on what a step is."""
        if self.solver != "auto" and self.model in ("tabm", "mlp"):
            raise FieldError(
                f"Received --solver {self.solver} with --model {self.model}; expected --model "
                "linear, svm or svm_rbf with it. Leave it out, or give --batch-size."
            )
        if self.batch_size is not None and self.solver in ("exact", "batch", "stochastic"):
            raise FieldError(
                f"Received --batch-size {self.batch_size} with --solver {self.solver}, which has "
                "a batch size of its own; expected one of the two. Leave one out."
            )

    def _solver(self, splits: "Splits") -> str:
        """The solver that is meant; raises FieldError where it cannot be."""
        possible = self.model == "linear" and not splits.labels and not self.l1
        if self.solver == "exact" and not possible:
            raise FieldError(
                "Received --solver exact; expected --model linear, a target of numbers and no "
                "--l1: only there a closed form exists. Leave --solver to auto."
            )
        if self.solver != "auto":
            return self.solver
        return "exact" if possible else "minibatch"


def _unit(splits: "Splits") -> tuple[float, float]:
    """Mean and deviation of the training targets; 1 where all are equal."""
    target = splits.train.targets.astype("float64")
    return float(target.mean()), float(target.std()) or 1.0
