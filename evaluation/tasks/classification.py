"""Evaluate predictions that are classes."""

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
MIN_LABEL_POINTS = 4.0


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
    """Predictions from an export's outputs for the test examples."""
    return Predictions(outputs["probabilities"], splits.test.targets)


def example_scores(predictions: Predictions) -> dict[str, np.ndarray]:
    """Whether each example is right, and its cross-entropy in nats: their means are metrics."""
    likelihood = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    return {
        "accuracy": (predictions.predicted == predictions.target).astype("float64"),
        "loss": -np.log(np.maximum(likelihood.astype("float64"), 1e-12)),
    }


def metrics(predictions: Predictions) -> dict[str, float]:
    """Accuracy, mean cross-entropy (nats), and the unweighted mean of the classes' F1."""
    means = {name: float(values.mean()) for name, values in example_scores(predictions).items()}
    counts = confusion(predictions)
    return means | {"macro_f1": _macro_f1(counts.diagonal(), counts.sum(1), counts.sum(0))}


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Each metric of every bootstrap resample of the examples."""
    values, num_classes = example_scores(predictions), predictions.probabilities.shape[1]
    target, predicted = predictions.target, predictions.predicted
    found: dict[str, list[float]] = {name: [] for name in [*values, "macro_f1"]}
    for rows in resampled_positions(len(target), seed):
        for name, column in values.items():
            found[name].append(column[rows].mean())
        true, guess = target[rows], predicted[rows]
        parts = (true[true == guess], true, guess)
        counts = [np.bincount(part, minlength=num_classes) for part in parts]
        found["macro_f1"].append(_macro_f1(*counts))
    return {name: np.array(column) for name, column in found.items()}


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """95 % intervals: Wilson's of the shares, BCa of the loss.

    `resamples` are those of `bootstrap`; by default they are made here.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    values = example_scores(predictions)
    found = {
        name: mean_interval(column, resamples[name], metric(name))
        for name, column in values.items()
    }
    macro_f1 = metrics(predictions)["macro_f1"]
    count = len(predictions.target)
    return found | {"macro_f1": wilson_by_variance(macro_f1, resamples["macro_f1"], count)}


def _macro_f1(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 from counts by class, over all true or predicted classes."""
    total = true + predicted
    occurs = total > 0
    return float(np.mean(2 * right[occurs] / total[occurs]))


def confusion(predictions: Predictions) -> np.ndarray:
    """Counts [true class, predicted class]."""
    num_classes = predictions.probabilities.shape[1]
    pairs = predictions.target * num_classes + predictions.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(
    predictions: Predictions, labels: tuple[str, ...]
) -> list[dict[str, float | int | str]]:
    """Precision, recall, F1 and number of examples of each class."""
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
    """Tables for scores.json."""
    return {"per_class": per_class(predictions, splits.labels)}


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:
    """Return the confusion matrix; `target` names the predicted column."""
    return {"confusion.png": _confusion(confusion(predictions), splits.labels, target)}


def _confusion(counts: np.ndarray, names: tuple[str, ...], target: str) -> Any:
    from evaluation.fonts import fonts, width
    from evaluation.style import INK, pyplot

    labels = [fonts().short(name) for name in names]
    side = min(MAX_SIDE_INCHES, max(MIN_SIDE_INCHES, 0.45 * len(labels) + 1.5))
    figure, axis = pyplot.subplots(figsize=(side, side), layout="constrained")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The square root makes single mistakes visible next to thousands of right answers.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    points = min(10.0, 60 * (side - 1.5) / len(labels))  # of letters almost as high as a row
    named = slice(None, None, math.ceil(MIN_LABEL_POINTS / points))
    ticks, shown = range(len(labels))[named], labels[named]
    turned = 90 if max(map(width, labels)) > 3 or len(labels) > MAX_COUNTED_CLASSES else 0
    size = max(points, MIN_LABEL_POINTS)
    axis.set_xticks(ticks, shown, rotation=turned, fontsize=size, parse_math=False)
    axis.set_yticks(ticks, shown, fontsize=size, parse_math=False)
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
                light = shares[row, column] > 0.3
                axis.text(
                    column, row, f"{count:,}",
                    ha="center", va="center", fontsize=8, color="white" if light else INK,
                )  # fmt: skip
    return figure
