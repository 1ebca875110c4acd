"""How each model for rows is built and fitted: a strategy for each model and solver."""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optimizers
from apps.app import App
from apps.fields import FieldError
from apps.fit_data import FitData
from apps.regression import blending, networks, shrinkage, solvers
from apps.regression.kernel_layer import fit_kernel
from apps.regression.matrices import RowMatrices
from apps.regression.trees import TreePart, fit_trees

if TYPE_CHECKING:
    from apps.regression.app import Regression
    from pipelines.splits import Splits

STEP_FIELDS = frozenset({"learning_rate", "batch_size"})
ALL_FIELDS = STEP_FIELDS | {"width", "dropout"}

Network = Callable[[RowMatrices, "Splits", networks.Hidden], Any]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """How a model for rows is built and fitted.

    Attributes:
        network: builds the network, from the training examples and the splits.
        fit: fits the compiled network, as `App.fit` does by steps of the optimizer.
        searchable: fields of `Regression.space` that have an effect.
        automatic: automatic fields whose values depend on the data, with these values.

    """

    network: Network
    fit: Callable[..., None] = App.fit
    searchable: frozenset[str] = STEP_FIELDS
    automatic: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def has_steps(self) -> bool:
        """Whether the network is fitted by steps, of a batch size and a learning rate."""
        return "learning_rate" in self.searchable


def strategy_of(app: "Regression", splits: "Splits") -> Strategy:
    """Return the strategy for the model, solver and optimizer of an app.

    Raises FieldError if they cannot be used together, or with these data.
    """
    strategy = MODELS[app.model]
    has_closed_form = app.model == "linear" and not splits.labels and not app.l1
    if app.solver == "exact" and not has_closed_form:
        raise FieldError(
            "Received --solver exact; expected --model linear, a target of numbers and no "
            "--l1: only there a closed form exists. Leave --solver to auto."
        )
    if full_batch_solver := optimizers.get_solver(app.optimizer):
        _check_full_batch(app, full_batch_solver, splits)
        # Dropout has no effect: the objective of such a solver is deterministic.
        fit = functools.partial(solvers.fit_full_batch, solver=full_batch_solver)
        return dataclasses.replace(strategy, fit=fit, searchable=strategy.searchable & {"width"})
    solver = app.solver
    if solver == "auto":
        solver = "exact" if has_closed_form else "minibatch"
        if app.model == "linear":
            strategy = dataclasses.replace(strategy, automatic={"solver": solver})
    if solver == "exact":
        return dataclasses.replace(strategy, fit=solvers.fit_exactly, searchable=frozenset())
    own_batch_size = {"batch_size"} if solver in ("batch", "stochastic") else set()
    return dataclasses.replace(strategy, searchable=strategy.searchable - own_batch_size)


def check_fields(app: "Regression") -> None:
    """Raise FieldError if --solver contradicts --model or --batch-size."""
    if app.solver != "auto" and app.model not in ("linear", "svm", "svm_rbf"):
        raise FieldError(
            f"Received --solver {app.solver} with --model {app.model}; expected --model "
            "linear, svm or svm_rbf with it. Leave it out, or give --batch-size."
        )
    if app.batch_size is not None and app.solver in ("exact", "batch", "stochastic"):
        raise FieldError(
            f"Received --batch-size {app.batch_size} with --solver {app.solver}, which has "
            "a batch size of its own; expected one of the two. Leave one out."
        )


def _check_full_batch(app: "Regression", solver: Any, splits: "Splits") -> None:
    """Raise FieldError if a solver that uses all examples at once cannot fit this model."""
    newton, gauss_newton = solver.needs == "hessian", solver.needs == "gauss_newton"
    violated = {
        "--model linear": newton and app.model != "linear",
        "--model linear or mlp": not newton and app.model not in ("linear", "mlp"),
        "no --l1": app.l1,
        "no --l2": gauss_newton and app.l2,
        "a target of numbers": gauss_newton and splits.labels,
        "--solver auto": app.solver != "auto",
    }
    if expected := [requirement for requirement, broken in violated.items() if broken]:
        raise FieldError(
            f"Received --optimizer {app.optimizer}; expected {', '.join(expected)} with it."
        )


def _direct(build: Callable[[RowMatrices, int, networks.Hidden], Any]) -> Network:
    """Return the builder of a network that has no part which is fitted before."""
    return lambda train, splits, hidden: build(train, len(splits.labels) or 1, hidden)


def _tabm(train: RowMatrices, splits: "Splits", hidden: networks.Hidden) -> Any:
    linear = solvers.fit_linear(train, len(splits.labels))
    return networks.tabm(train, len(splits.labels) or 1, hidden, linear_weights=linear)


def _boosted(train: RowMatrices, splits: "Splits", hidden: networks.Hidden) -> Any:  # noqa: ARG001
    return networks.boosted(_trees(train, splits), train)


def _blend(train: RowMatrices, splits: "Splits", hidden: networks.Hidden) -> Any:
    trees = _trees(train, splits)
    valid = RowMatrices(train.prepare, splits.valid)
    kernel = fit_kernel(train, valid, len(splits.labels))
    if networks.has_too_many_columns(train):
        linear = solvers.fit_linear(train, len(splits.labels))
        network = networks.fitted_linear(train, len(splits.labels) or 1, linear)
    else:
        network = _tabm(train, splits, hidden)
    return networks.blend(network, trees, kernel)


def _trees(train: RowMatrices, splits: "Splits") -> TreePart:
    return fit_trees(train, RowMatrices(train.prepare, splits.valid), len(splits.labels))


def _fit_tabm(app: "Regression", model: Any, fit_data: FitData, **options: Any) -> None:
    """Train an ensemble of networks."""
    # The last callback: earlier ones may put averaged weights into the model, which validation
    # uses.
    callbacks = [*options["callbacks"], _shrinkage(fit_data)]
    App.fit(app, model, fit_data, **{**options, "callbacks": callbacks})


def _shrinkage(fit_data: FitData) -> shrinkage.ResidualShrinkage:
    if fit_data.splits.labels:
        return shrinkage.ResidualShrinkage(fit_data, shrinkage.classification_scale)
    mean, deviation = solvers.mean_and_deviation(fit_data.splits.train)
    estimate = functools.partial(shrinkage.regression_scale, mean=mean, deviation=deviation)
    return shrinkage.ResidualShrinkage(fit_data, estimate)


def _fit_boosted(app: "Regression", model: Any, fit_data: FitData, **options: Any) -> None:
    blending.fit_boosted_alone(model, fit_data, _loss_of(app, fit_data), **options)


def _fit_blend(app: "Regression", model: Any, fit_data: FitData, **options: Any) -> None:
    fit_members = functools.partial(_fit_tabm, app)
    blending.fit_blend(model, fit_data, fit_members, _loss_of(app, fit_data), **options)


def _loss_of(app: "Regression", fit_data: FitData) -> blending.LossOf:
    loss = app.make_loss(fit_data.splits)

    def loss_of(outputs: Any, target: Any) -> Any:
        return loss.call(target, outputs[:, None]).numpy()

    return loss_of


MODELS = {
    "blend": Strategy(_blend, _fit_blend, ALL_FIELDS),
    "tabm": Strategy(_tabm, _fit_tabm, ALL_FIELDS),
    "mlp": Strategy(_direct(networks.perceptron), searchable=ALL_FIELDS),
    "boosted": Strategy(_boosted, _fit_boosted, frozenset()),
    "linear": Strategy(_direct(networks.linear)),
    "svm": Strategy(_direct(networks.linear)),
    "svm_rbf": Strategy(_direct(networks.random_fourier_svm)),
}
