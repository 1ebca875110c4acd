"""Evaluate predicted classes."""

import math
from typing import Any, NamedTuple

import numpy as np

from apps.app import TaskName
from apps.metrics import metric
from evaluation.intervals import (
    Interval,
    Resamples,
    mean_interval,
    resampled_positions,
    wilson_by_variance,
)
from inference.model_outputs import predict_all
from pipelines.splits import Splits
from training.run import Run

NAME: TaskName = "classification"
MAX_COUNTED_CLASSES = 30  # with more the confusion matrix shows no counts
MIN_SIDE_INCHES, MAX_SIDE_INCHES = 4.0, 15.0  # of the confusion matrix
MIN_LABEL_POINTS, MAX_LABEL_POINTS = 4.0, 10.0


class Predictions(NamedTuple):
    """Predicted probabilities [n, classes] and true classes [n]."""

    probabilities: np.ndarray
    target: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example."""
        return self.probabilities.argmax(1)


def predict_test_set(run: Run) -> Predictions:
    """Predict the run's test examples."""
    return Predictions(predict_all(run.model, run.splits.test), run.splits.test.targets)


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test examples."""
    return Predictions(outputs["probabilities"], splits.test.targets)


def example_scores(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return whether each example is right, and its cross-entropy in nats."""
    likelihood = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    return {
        "accuracy": (predictions.predicted == predictions.target).astype("float64"),
        "loss": -np.log(np.maximum(likelihood.astype("float64"), 1e-12)),
    }


def metrics(predictions: Predictions) -> dict[str, float]:
    """Compute accuracy, mean cross-entropy (nats), and the unweighted mean of the classes' F1."""
    means = {name: float(values.mean()) for name, values in example_scores(predictions).items()}
    counts = confusion(predictions)
    return means | {"macro_f1": _macro_f1(counts.diagonal(), counts.sum(1), counts.sum(0))}


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Compute each metric of every bootstrap resample of the examples."""
    values, num_classes = example_scores(predictions), predictions.probabilities.shape[1]
    target, predicted = predictions.target, predictions.predicted
    resamples: dict[str, list[float]] = {name: [] for name in [*values, "macro_f1"]}
    for rows in resampled_positions(len(target), seed):
        for name, column in values.items():
            resamples[name].append(column[rows].mean())
        drawn_target, drawn = target[rows], predicted[rows]
        classes = (drawn[drawn == drawn_target], drawn_target, drawn)
        counts = [np.bincount(part, minlength=num_classes) for part in classes]
        resamples["macro_f1"].append(_macro_f1(*counts))
    return {name: np.array(column) for name, column in resamples.items()}


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """Compute 95 % intervals: Wilson's of accuracy and macro F1, BCa of the loss.

    `resamples` is the result of `bootstrap`, which is called by default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    values = example_scores(predictions)
    intervals_of_means = {
        name: mean_interval(column, resamples[name], metric(name))
        for name, column in values.items()
    }
    macro_f1 = metrics(predictions)["macro_f1"]
    count = len(predictions.target)
    return intervals_of_means | {
        "macro_f1": wilson_by_variance(macro_f1, resamples["macro_f1"], count)
    }


def _macro_f1(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute the mean F1 of all classes that occur, from the counts of each class."""
    total = true + predicted
    occurs = total > 0
    return float(np.mean(2 * right[occurs] / total[occurs]))


def confusion(predictions: Predictions) -> np.ndarray:
    """Count the examples of each [true class, predicted class]."""
    num_classes = predictions.probabilities.shape[1]
    pairs = predictions.target * num_classes + predictions.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(
    predictions: Predictions, labels: tuple[str, ...]
) -> list[dict[str, float | int | str]]:
    """Compute precision, recall, F1 and number of examples of each class."""
    counts = confusion(predictions)
    right, predicted, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    precision, recall = (right / np.maximum(total, 1) for total in (predicted, true))
    f1 = 2 * right / np.maximum(predicted + true, 1)
    return [
        {
            "class": label,
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "examples": int(true[k]),
        }
        for k, label in enumerate(labels)
    ]


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:
    """Make the table of classes for scores.json."""
    return {"per_class": per_class(predictions, splits.labels)}


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:
    """Draw the confusion matrix; `target` names the predicted column."""
    return {"confusion.png": _draw_confusion(confusion(predictions), splits.labels, target)}


def _draw_confusion(counts: np.ndarray, names: tuple[str, ...], target: str) -> Any:
    from evaluation.fonts import fonts, width
    from evaluation.style import INK, pyplot

    labels = [fonts().short(name) for name in names]
    side = min(MAX_SIDE_INCHES, max(MIN_SIDE_INCHES, 0.45 * len(labels) + 1.5))
    figure, axis = pyplot.subplots(figsize=(side, side), layout="constrained")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The square root makes single mistakes visible next to thousands of right predictions.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    row_points = min(MAX_LABEL_POINTS, 60 * (side - 1.5) / len(labels))  # of almost a row's height
    labelled = slice(None, None, math.ceil(MIN_LABEL_POINTS / row_points))
    ticks, tick_labels = range(len(labels))[labelled], labels[labelled]
    rotation = 90 if max(map(width, labels)) > 3 or len(labels) > MAX_COUNTED_CLASSES else 0
    size = max(row_points, MIN_LABEL_POINTS)
    axis.set_xticks(ticks, tick_labels, rotation=rotation, fontsize=size, parse_math=False)
    axis.set_yticks(ticks, tick_labels, fontsize=size, parse_math=False)
    axis.set_xlabel(f"predicted {target}".strip(), parse_math=False)
    axis.set_ylabel(f"true {target}".strip(), parse_math=False)
    axis.set_title(
        "Confusion matrix (test set); shade: square root of the share of the true class",
        fontsize=10,
    )
    axis.spines[:].set_visible(False)
    if len(labels) <= MAX_COUNTED_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                is_dark = shares[row, column] > 0.3
                axis.text(
                    column, row, f"{count:,}",
                    ha="center", va="center", fontsize=8, color="white" if is_dark else INK,
                )  # fmt: skip
    return figure
