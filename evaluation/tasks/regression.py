"""Evaluate predicted numbers."""

from typing import Any, NamedTuple

import numpy as np

from apps.app import TaskName
from evaluation.intervals import (
    Interval,
    Resamples,
    bca_of_sums,
    bootstrap_sums,
    effective_size,
)
from evaluation.slices.units import UnitScores, no_class_cuts
from evaluation.tasks.calibration import no_calibration, unchanged
from evaluation.tasks.class_scores import no_class_scores
from inference.model_outputs import predict_all
from pipelines.splits import Splits
from training.coverage import Coverage, Intervals
from training.run import Run

calibration, uncalibrated, class_scores = no_calibration, unchanged, no_class_scores
class_cuts = no_class_cuts
NAME: TaskName = "regression"
# Of the targets' sum of squares; smaller squared deviations from the mean are rounding errors.
MIN_DEVIATIONS_SHARE = 1e-12


class Predictions(NamedTuple):
    """Predicted and true numbers, [n], in the target's unit; weights [n], or None."""

    predicted: np.ndarray
    target: np.ndarray
    weights: np.ndarray | None = None

    @property
    def residuals(self) -> np.ndarray:
        """Predicted minus true, in float64."""
        return self.predicted.astype("float64") - self.target


def predict_test_set(run: Run) -> Predictions:
    """Predict the run's test examples."""
    return of_test_set(run.splits, predict_all(run.model, run.splits.test))


def predict_held_out(run: Run) -> Predictions:
    """Return the predictions for validation examples. Raises RunError if the run has none."""
    return Predictions(*run.held_out)


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test examples."""
    return of_test_set(splits, outputs["value"])


def of_test_set(splits: Splits, predicted: np.ndarray) -> Predictions:
    """Make predictions of the numbers [n] predicted for the test examples."""
    return Predictions(predicted, splits.test.targets, splits.test.weights)


def metrics(predictions: Predictions) -> dict[str, float]:
    """Compute root mean squared error and mean absolute error (the target's unit), and R2.

    R2 is the share of the test targets' variance that the predictions explain: 1 is
    perfect, 0 is no better than predicting the mean of the targets.
    """
    values = _metrics_of_sums(_terms_of_examples(predictions).sum(0))
    return {name: float(value) for name, value in values.items()}


def _terms_of_examples(predictions: Predictions) -> np.ndarray:
    """Return the terms of each example in the sums that make the metrics, [examples, 5]."""
    residuals, target = predictions.residuals, predictions.target.astype("float64")
    # Without centring, cancellation would lose the variance of targets far from 0.
    target = target - np.average(target, weights=predictions.weights)
    ones = np.ones(len(target))
    terms = np.stack([ones, residuals**2, np.abs(residuals), target, target**2], axis=1)
    return terms if predictions.weights is None else terms * predictions.weights[:, None]


def _metrics_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    count, squared, absolute, target, target_squared = np.moveaxis(sums, -1, 0)
    deviations = target_squared - target**2 / count
    equal = deviations <= MIN_DEVIATIONS_SHARE * target_squared
    explained = 1 - squared / np.where(equal, 1.0, deviations)
    return {
        "rmse": np.sqrt(squared / count),
        "mae": absolute / count,
        "r2": np.where(equal, np.where(squared == 0, 1.0, 0.0), explained),
    }


def unit_values(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the absolute error of each example; none with weights."""
    return {"mae": np.abs(predictions.residuals)} if predictions.weights is None else {}


def unit_scores(predictions: Predictions) -> UnitScores:
    """Return the squared error of each example."""
    squares = np.square(predictions.residuals)
    return UnitScores.of_mean("rmse", squares, predictions.weights, is_root=True)


def num_units(predictions: Predictions) -> float:
    """Return the number of examples, or with weights the effective number."""
    weights = predictions.weights
    return len(predictions.target) if weights is None else effective_size(weights)


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Compute each metric of every bootstrap resample of the examples."""
    return _metrics_of_sums(bootstrap_sums(_terms_of_examples(predictions), seed))


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """Compute 95 % BCa bootstrap intervals of the metrics.

    `resamples` is the result of `bootstrap`, which is called by default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    return bca_of_sums(_terms_of_examples(predictions), _metrics_of_sums, resamples)


def covered(predictions: Predictions, wanted: Coverage) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether each interval contains the true number, and its width."""
    if not isinstance(wanted, Intervals):
        return None
    half = wanted.half_widths(predictions.predicted)
    return np.abs(predictions.residuals) <= half, 2 * half


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """Return no tables."""
    return {}


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Draw predicted against true values, and the residuals; `target` names the column."""
    return {
        "predicted.png": _draw_predicted(predictions, target),
        "residuals.png": _draw_residuals(predictions, target),
    }


def _draw_predicted(predictions: Predictions, target: str) -> Any:
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    figure, axis = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axis.scatter(
        predictions.target,
        predictions.predicted,
        s=6,
        color=FIRST,
        alpha=_point_opacity(predictions),
        lw=0,
    )
    ends = [predictions.target.min(), predictions.target.max()]
    axis.plot(ends, ends, color=INK, linewidth=0.8)
    few_ticks(axis.xaxis, axis.yaxis)
    axis.set_title(f"{len(predictions.target):,} test examples")
    axis.set_xlabel(f"true {target}".strip(), parse_math=False)
    axis.set_ylabel(f"predicted {target}".strip(), parse_math=False)
    return figure


def _draw_residuals(predictions: Predictions, target: str) -> Any:
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.scatter(
        predictions.predicted,
        predictions.residuals,
        s=6,
        color=FIRST,
        alpha=_point_opacity(predictions),
        lw=0,
    )
    left.axhline(0, color=INK, linewidth=0.8)
    left.set_xlabel(f"predicted {target}".strip(), parse_math=False)
    left.set_ylabel(f"predicted minus true {target}".strip(), parse_math=False)
    # The extreme 1 % would stretch the axis, so that one bar holds nearly all others.
    middle = np.percentile(predictions.residuals, [0.5, 99.5])
    bins = int(np.clip(np.sqrt(len(predictions.residuals)), 10, 60))
    right.hist(predictions.residuals, bins=bins, range=tuple(middle), color=FIRST)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_xlabel(f"predicted minus true {target}".rstrip() + " (middle 99 %)", parse_math=False)
    right.set_ylabel("test examples")
    few_ticks(left.xaxis, left.yaxis, right.xaxis, right.yaxis)
    return figure


def _point_opacity(predictions: Predictions) -> float:
    """Return the opacity of a point, which is lower if there are more points."""
    return float(np.clip(400 / len(predictions.target), 0.1, 0.8))
