"""Fit models for rows by solvers in place of gradient descent."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from apps.fields import FieldError
from apps.fit_data import FitData

if TYPE_CHECKING:
    import numpy as np

    from apps.regression.app import Regression
    from apps.regression.matrices import RowMatrices
    from pipelines.examples import Examples

MAX_DENSE_WEIGHTS = 3_000  # weights of a model whose curvature matrix fits into memory


def fit_full_batch(
    app: "Regression", model: Any, fit_data: FitData, *, solver: Any, **options: Any
) -> None:
    """Run all iterations in one epoch if there is one minimum; otherwise a few per epoch."""
    from apps.full_batch import ITERATIONS_PER_EPOCH, FullBatchObjective
    from apps.regression.matrices import RowMatrices
    from apps.solving import solve

    train = fit_data.splits.train
    arrays = RowMatrices(fit_data.prepare, train).arrays()
    loss = app.make_loss(fit_data.splits)
    objective = FullBatchObjective(model, arrays, train.targets, loss, train.relative_weights)
    if solver.needs != "gradient" and objective.num_weights > MAX_DENSE_WEIGHTS:
        raise FieldError(
            f"Received --optimizer {app.optimizer} for a model of {objective.num_weights:,} "
            f"weights; expected at most {MAX_DENSE_WEIGHTS:,}, because it keeps a matrix of "
            "their square. Lower --width, or take lbfgs."
        )
    limit = ITERATIONS_PER_EPOCH * app.epochs
    if app.model == "linear":
        iterations = objective.iterate(solver, limit, limit)
        solve(model, fit_data, iterations, epochs=range(1), **options)
    else:
        iterations = objective.iterate(solver, limit)
        solve(model, fit_data, iterations, epochs=range(app.epochs), **options)


def fit_exactly(app: "Regression", model: Any, fit_data: FitData, **options: Any) -> None:
    """Put the closed-form solution into a linear model, in one epoch."""
    from apps.solving import solve

    solve(model, fit_data, _exact_solution(app, model, fit_data), epochs=range(1), **options)


def _exact_solution(app: "Regression", model: Any, fit_data: FitData) -> Iterator[dict[str, float]]:
    """Put the closed-form solution into the model; yield its loss."""
    import tensorflow as tf

    from apps.regression.matrices import RowMatrices
    from apps.regression.shrinkage import LINEAR

    train = RowMatrices(fit_data.prepare, fit_data.splits.train)
    kernel, bias = fit_ridge(train, max(app.l2, 1e-9))
    model.get_layer(LINEAR).set_weights([kernel, bias])
    loss = app.make_loss(fit_data.splits)
    total = sum(
        len(y) * float(loss(y, (x @ kernel + bias)[:, None], weights))
        for x, y, weights in train.weighted_blocks()
    )
    # Keras divides a loss by the number of replicas, whose losses are added up.
    yield {"loss": total / len(train) * tf.distribute.get_strategy().num_replicas_in_sync}


def fit_linear(train: "RowMatrices", num_classes: int) -> list[Any]:
    """Kernel and bias of the linear part of a network: logistic or ridge regression."""
    from apps.regression import logistic

    if num_classes:
        return logistic.fit_subsample(train, num_classes)
    return fit_ridge(train, l2=None)


def out_of_fold_linear(train: "RowMatrices", num_classes: int, fold: "np.ndarray") -> "np.ndarray":
    """Return outputs for each training example by `fit_linear` without its fold, [n, outputs]."""
    import numpy as np

    from apps.regression.mixing import out_of_fold

    x = np.concatenate([block for block, _ in train.blocks()])
    mean, deviation = mean_and_deviation(train.examples)

    def predict(others: np.ndarray, rows: np.ndarray) -> np.ndarray:
        part = train.select(others)
        kernel, bias = fit_linear(part, num_classes)
        outputs = x[rows] @ kernel + bias
        if num_classes:
            return outputs
        of_part = mean_and_deviation(part.examples)
        return (outputs * of_part[1] + of_part[0] - mean) / deviation

    return out_of_fold(fold, predict)


def fit_ridge(train: "RowMatrices", l2: float | None) -> list[Any]:
    """Kernel and bias of ridge regression on the standardised target."""
    from apps.ridge import ridge

    mean, deviation = mean_and_deviation(train.examples)
    blocks = (
        (x, (y.astype("float64") - mean) / deviation, weights)
        for x, y, weights in train.weighted_blocks()
    )
    return ridge(blocks, l2, wide=train.width > len(train))


def mean_and_deviation(train: "Examples") -> tuple[float, float]:
    """Mean and standard deviation of the training targets; a deviation of 0 becomes 1."""
    import numpy as np

    target, weights = train.targets.astype("float64"), train.weights
    mean = float(np.average(target, weights=weights))
    if weights is None:
        return mean, float(target.std()) or 1.0
    return mean, float(np.sqrt(np.average((target - mean) ** 2, weights=weights))) or 1.0
