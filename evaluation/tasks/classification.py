"""Evaluate predicted classes."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import softmax

from apps.app import TaskName
from apps.calibration import logits_of
from apps.metrics import metric
from evaluation.decisive import BALANCED
from evaluation.intervals import (
    Interval,
    Resamples,
    bootstrap_sums,
    effective_size,
    mean_interval,
    wilson_by_variance,
)
from evaluation.slices.cuts import Cut, by_class
from evaluation.slices.units import UnitScores
from evaluation.tasks import calibration as calibrations
from evaluation.tasks.class_scores import ClassScores, of_class_numbers
from evaluation.tasks.confusion_figure import draw_confusion
from inference.model_outputs import predict_all
from pipelines.splits import Splits
from training.coverage import Coverage, Sets
from training.run import Run

NAME: TaskName = "classification"


class Predictions(NamedTuple):
    """Predicted probabilities [n, classes] and true classes [n].

    Attributes:
        probabilities: [n, classes].
        target: class numbers, [n].
        weights: of the examples in scores, [n]; None if all count the same.
        balance: whether training balances the classes, so that balanced accuracy is shown.

    """

    probabilities: np.ndarray
    target: np.ndarray
    weights: np.ndarray | None = None
    balance: bool = False

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example."""
        return self.probabilities.argmax(1)

    def mistakes(self) -> np.ndarray:
        """Return the wrongly predicted examples, the most confident mistake first."""
        wrong = np.flatnonzero(self.predicted != self.target)
        true = self.probabilities[wrong, self.target[wrong]]
        return wrong[np.argsort(true, kind="stable")]

    def right_rows(self) -> np.ndarray:
        """Return the rightly predicted examples."""
        return np.flatnonzero(self.predicted == self.target)

    @property
    def explained(self) -> str:
        """The class of `explained_class`, in words."""
        return "the predicted class"

    def explained_class(self, row: int) -> int:
        """Return the class for which a figure explains the prediction of an example."""
        return int(self.predicted[row])

    def describe(self, row: int, labels: tuple[str, ...]) -> str:
        """Return the predicted and the true class of an example."""
        predicted = self.predicted[row]
        share = self.probabilities[row, predicted]
        return f"predicted {labels[predicted]} ({share:.0%}), is {labels[self.target[row]]}"


def predict_test_set(run: Run) -> Predictions:
    """Predict the run's test examples."""
    return of_test_set(run.splits, predict_all(run.model, run.splits.test))


def predict_held_out(run: Run) -> Predictions:
    """Return the predictions for validation examples. Raises RunError if the run has none."""
    return Predictions(*run.held_out, balance=run.splits.balance)


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test examples."""
    return of_test_set(splits, outputs["probabilities"])


def of_test_set(splits: Splits, probabilities: np.ndarray) -> Predictions:
    """Make predictions of the probabilities [n, classes] of the test examples."""
    return Predictions(probabilities, splits.test.targets, splits.test.weights, splits.balance)


def example_scores(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return whether each example is right, and its cross-entropy in nats."""
    likelihood = predictions.probabilities[np.arange(len(predictions.target)), predictions.target]
    return {
        "accuracy": (predictions.predicted == predictions.target).astype("float64"),
        "loss": -np.log(np.maximum(likelihood.astype("float64"), 1e-12)),
    }


def unit_values(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the scores of each example, of which a metric is the mean; none with weights."""
    return example_scores(predictions) if predictions.weights is None else {}


def unit_scores(predictions: Predictions) -> UnitScores:
    """Return whether each example is right."""
    right = example_scores(predictions)["accuracy"]
    return UnitScores.of_mean("accuracy", right, predictions.weights)


def class_cuts(predictions: Predictions, labels: tuple[str, ...]) -> list[Cut]:
    """Cut the test examples by class."""
    return [by_class("class", predictions.target, labels)]


def num_units(predictions: Predictions) -> float:
    """Return the number of examples, or with weights the effective number."""
    weights = predictions.weights
    return len(predictions.target) if weights is None else effective_size(weights)


def metrics(predictions: Predictions) -> dict[str, float]:
    """Compute accuracy, mean cross-entropy (nats), and the unweighted mean of the classes' F1.

    If training balances the classes, balanced accuracy, the mean of the classes' recalls, is added.
    """
    means = {
        name: float(np.average(values, weights=predictions.weights))
        for name, values in example_scores(predictions).items()
    }
    counts = confusion(predictions)
    means |= _of_class_totals(predictions, [counts.diagonal(), counts.sum(1), counts.sum(0)])
    order = ["accuracy", BALANCED] if predictions.balance else ["accuracy"]
    return {name: means[name] for name in (*order, "loss", "macro_f1")}


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Compute each metric of every bootstrap resample of the examples."""
    values, weights = example_scores(predictions), predictions.weights
    weights = np.ones(len(predictions.target)) if weights is None else weights
    columns = np.stack([weights, *(weights * column for column in values.values())], axis=1)
    total, *sums = bootstrap_sums(columns, seed).T
    resamples = {name: column / total for name, column in zip(values, sums, strict=True)}
    totals = bootstrap_sums(_class_columns(predictions, weights), seed)
    of_resamples = [
        _of_class_totals(predictions, list(row)) for row in totals.reshape(len(totals), 3, -1)
    ]
    names = of_resamples[0]
    return resamples | {name: np.array([row[name] for row in of_resamples]) for name in names}


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """Compute 95 % intervals: Wilson's of accuracies and macro F1, BCa of the loss.

    `resamples` is the result of `bootstrap`, which is called by default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    values = example_scores(predictions)
    intervals_of_means = {
        name: mean_interval(column, resamples[name], metric(name), predictions.weights)
        for name, column in values.items()
    }
    found = metrics(predictions)
    count = num_units(predictions)
    return {
        name: intervals_of_means.get(name) or wilson_by_variance(value, resamples[name], count)
        for name, value in found.items()
    }


def _class_columns(predictions: Predictions, weights: np.ndarray) -> Any:
    """Return the weights of right, true and predicted examples of each class, [n, 3 * classes]."""
    count, num_classes = predictions.probabilities.shape
    true, predicted = predictions.target, predictions.predicted
    right = true == predicted
    columns = np.concatenate([true[right], num_classes + true, 2 * num_classes + predicted])
    rows = np.concatenate([np.flatnonzero(right), np.arange(count), np.arange(count)])
    return sparse.csr_array((weights[rows], (rows, columns)), (count, 3 * num_classes))


def _of_class_totals(predictions: Predictions, totals: list[np.ndarray]) -> dict[str, float]:
    """Return the metrics of the totals of right, true and predicted examples of each class."""
    right, true, _ = totals
    found = {"macro_f1": macro_f1(*totals)}
    if predictions.balance:
        found[BALANCED] = float(np.mean(right[true > 0] / true[true > 0]))
    return found


def macro_f1(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Compute the mean F1 of all classes that occur, from the counts of each class."""
    total = true + predicted
    occurs = total > 0
    return float(np.mean(2 * right[occurs] / total[occurs]))


def confusion(predictions: Predictions) -> np.ndarray:
    """Count the examples of each [true class, predicted class], or add up their weights."""
    num_classes = predictions.probabilities.shape[1]
    pairs = predictions.target * num_classes + predictions.predicted
    counts = np.bincount(pairs, predictions.weights, num_classes**2)
    return counts.reshape(num_classes, num_classes)


def per_class(
    predictions: Predictions, labels: tuple[str, ...]
) -> list[dict[str, float | int | str]]:
    """Compute precision, recall, F1 and number of examples of each class."""
    counts = confusion(predictions)
    right, predicted, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    precision, recall, f1 = (
        part / np.where(total > 0, total, 1)
        for part, total in ((right, predicted), (right, true), (2 * right, predicted + true))
    )
    examples = np.bincount(predictions.target, minlength=len(labels))
    return [
        {
            "class": label,
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "examples": int(examples[k]),
        }
        for k, label in enumerate(labels)
    ]


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Compare the probability of the predicted class with the share of right predictions."""
    probabilities = predictions.probabilities.astype("float64")
    truth = predictions.target[:, None] == np.arange(probabilities.shape[1])
    squares = np.square(probabilities - truth).sum(1)
    right = predictions.predicted == predictions.target
    return calibrations.calibration(probabilities.max(1), right, squares)


def uncalibrated(predictions: Predictions, temperature: float) -> Predictions:
    """Return the predictions without the temperature of the model."""
    logits = logits_of(predictions.probabilities, several=False)
    return predictions._replace(probabilities=softmax(logits * temperature, axis=1))


def covered(predictions: Predictions, wanted: Coverage) -> tuple[np.ndarray, np.ndarray] | None:
    """Return whether each set contains the true class, and its number of classes."""
    if not isinstance(wanted, Sets):
        return None
    members = wanted.members(predictions.probabilities)
    return members[np.arange(len(members)), predictions.target], members.sum(1)


def class_scores(predictions: Predictions, splits: Splits) -> ClassScores:
    """Return the probability of the positive class of two, or of each class."""
    probabilities, target, weights, _ = predictions
    return of_class_numbers(splits, probabilities, target, weights)


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:
    """Make the table of classes for scores.json."""
    return {"per_class": per_class(predictions, splits.labels)}


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:
    """Draw the confusion matrix and the calibration; `target` names the predicted column."""
    return {
        "confusion.png": draw_confusion(confusion(predictions), splits.labels, target),
        "calibration.png": calibrations.draw(calibration(predictions)),
    }
