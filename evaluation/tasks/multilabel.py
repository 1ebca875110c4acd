"""Evaluate predictions of any number of classes for each example."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit

from apps.app import TaskName
from apps.calibration import logits_of
from apps.metrics import metric
from evaluation.intervals import (
    Interval,
    Resamples,
    bootstrap_sums,
    mean_interval,
    wilson_by_variance,
)
from evaluation.slices.cuts import Cut, by_class
from evaluation.slices.units import UnitScores
from evaluation.tasks import calibration as calibrations
from evaluation.tasks.class_scores import ClassScores
from evaluation.tasks.classification import macro_f1
from inference.model_outputs import predict_all
from pipelines.splits import Splits
from training.run import Run

covered = calibrations.not_covered
NAME: TaskName = "multilabel"
MIN_PROBABILITY = 1e-12
MAX_SHOWN_CLASSES = 40  # in the figure: those with the most examples


class Predictions(NamedTuple):
    """Predicted and true classes.

    Attributes:
        probabilities: [n, classes].
        selected: the chosen classes, bool [n, classes].
        target: the true classes, 0 or 1, [n, classes].
        thresholds: probability from which each class is chosen, [classes]; None if unknown.

    """

    probabilities: np.ndarray
    selected: np.ndarray
    target: np.ndarray
    thresholds: np.ndarray | None = None

    @classmethod
    def by_thresholds(
        cls, probabilities: np.ndarray, thresholds: np.ndarray, target: np.ndarray
    ) -> "Predictions":
        """Choose the classes whose probability reaches the threshold."""
        selected = probabilities.astype("float32") >= thresholds
        return cls(probabilities, selected, target, thresholds)

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Right, true and chosen classes, bool [n, classes] each."""
        true = self.target > 0
        return self.selected & true, true, self.selected

    def mistakes(self) -> np.ndarray:
        """Return the examples with a wrong or missing class, that of the largest loss first."""
        scores = example_scores(self)
        wrong = np.flatnonzero(scores["subset_accuracy"] == 0)
        return wrong[np.argsort(-scores["loss"][wrong], kind="stable")]

    def right_rows(self) -> np.ndarray:
        """Return the examples whose classes are all right, those with a class first."""
        right = np.flatnonzero(example_scores(self)["subset_accuracy"])
        return right[np.argsort(~self.selected[right].any(1), kind="stable")]

    @property
    def explained(self) -> str:
        """The class of `explained_class`, in words."""
        return "the class that is named last"

    def explained_class(self, row: int) -> int:
        """Return the worst decision of an example; of a right one its most probable class."""
        probabilities, true = self.probabilities[row], self.target[row] > 0
        wrong = self.selected[row] != true
        if not wrong.any():
            return int(probabilities.argmax())
        return int((wrong * np.where(true, 1 - probabilities, probabilities)).argmax())

    def describe(self, row: int, labels: tuple[str, ...]) -> str:
        """Return the chosen and the true classes of an example, and the explained one."""
        chosen, true = (
            ", ".join(labels[k] for k in np.flatnonzero(part)) or "no class"
            for part in (self.selected[row], self.target[row])
        )
        explained = self.explained_class(row)
        share = self.probabilities[row, explained]
        return f"chosen: {chosen}; true: {true}; shown: {labels[explained]} ({share:.0%})"


def predict_test_set(run: Run) -> Predictions:
    """Predict the run's test examples."""
    test = run.splits.test
    return Predictions.by_thresholds(predict_all(run.model, test), run.thresholds, test.targets)


def predict_held_out(run: Run) -> Predictions:
    """Return the predictions for validation examples. Raises RunError if the run has none."""
    held_out = run.held_out
    return Predictions.by_thresholds(held_out.predictions, run.thresholds, held_out.targets)


def from_outputs(splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
    """Make predictions of an export's outputs for the test examples."""
    return Predictions(outputs["probabilities"], outputs["selected"], splits.test.targets)


def example_scores(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return whether all classes of each example are right, and its mean cross-entropy in nats."""
    probabilities = predictions.probabilities.astype("float64")
    likelihood = np.where(predictions.target > 0, probabilities, 1 - probabilities)
    right = predictions.selected == (predictions.target > 0)
    return {
        "subset_accuracy": right.all(1).astype("float64"),
        "loss": -np.log(np.maximum(likelihood, MIN_PROBABILITY)).mean(1),
    }


def unit_values(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return the scores of each example, of which a metric is the mean."""
    return example_scores(predictions)


def unit_scores(predictions: Predictions) -> UnitScores:
    """Return the terms of micro F1: twice the right classes, and all true and chosen ones."""
    right, true, chosen = (part.sum(1).astype("float64") for part in predictions.parts)
    return UnitScores("micro_f1", 2 * right, true + chosen)


def class_cuts(predictions: Predictions, labels: tuple[str, ...]) -> list[Cut]:
    """Cut the test examples by each class: those that have it."""
    columns = zip(labels, predictions.target.T, strict=True)
    return [by_class("class", np.where(true > 0, 0, -1), (label,)) for label, true in columns]


def num_units(predictions: Predictions) -> float:
    """Return the number of examples."""
    return len(predictions.target)


def metrics(predictions: Predictions) -> dict[str, float]:
    """Compute micro F1, macro F1, subset accuracy and loss.

    Micro F1 counts all pairs of an example and a class alike. Macro F1 is the mean of the F1 of
    the classes that occur. Subset accuracy is the share of examples with no wrong class.
    """
    means = {name: float(values.mean()) for name, values in example_scores(predictions).items()}
    return _of_class_totals(np.stack([part.sum(0) for part in predictions.parts])) | means


def bootstrap(predictions: Predictions, seed: int = 0) -> Resamples:
    """Compute each metric of every bootstrap resample of the examples."""
    counts = sparse.csr_array(np.concatenate(predictions.parts, 1).astype("float64"))
    values = example_scores(predictions)
    columns = np.stack([np.ones(len(predictions.target)), *values.values()], axis=1)
    total, *sums = bootstrap_sums(columns, seed).T
    means = {name: column / total for name, column in zip(values, sums, strict=True)}
    totals = bootstrap_sums(counts, seed)
    rows = [_of_class_totals(row.reshape(3, -1)) for row in totals]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} | means


def intervals(predictions: Predictions, resamples: Resamples | None = None) -> dict[str, Interval]:
    """Compute 95 % intervals: Wilson's of F1 and subset accuracy, BCa of the loss.

    `resamples` is the result of `bootstrap`, which is called by default.
    """
    resamples = bootstrap(predictions) if resamples is None else resamples
    values = example_scores(predictions)
    return {
        name: mean_interval(values[name], resamples[name], metric(name))
        if name in values
        else wilson_by_variance(value, resamples[name], _max_units(predictions, name, resamples))
        for name, value in metrics(predictions).items()
    }


def _max_units(predictions: Predictions, name: str, resamples: Resamples) -> int:
    """Return the largest effective number of examples of an F1.

    Micro F1 varies less than a share of as many examples, because each has several classes. If
    the resamples do not vary, only the examples are independent.
    """
    if name == "macro_f1" or not np.ptp(resamples[name]):
        return len(predictions.target)
    _, true, chosen = predictions.parts
    return int(true.sum() + chosen.sum())


def _of_class_totals(totals: np.ndarray) -> dict[str, float]:
    """Return the F1 scores of the numbers of right, true and chosen examples, [3, classes]."""
    right, true, chosen = totals.sum(1)
    # No class is true and none is chosen: nothing is wrong.
    micro = 2 * right / (true + chosen) if true + chosen else 1.0
    macro = macro_f1(*totals) if true + chosen else 1.0
    return {"micro_f1": float(micro), "macro_f1": macro}


def calibration(predictions: Predictions) -> dict[str, Any]:
    """Compare the probability of each class of each example with how often the class is true."""
    probabilities, truth = predictions.probabilities.astype("float64"), predictions.target > 0
    squares = np.square(probabilities - truth).mean(1)
    return calibrations.calibration(probabilities.ravel(), truth.ravel(), squares)


def uncalibrated(predictions: Predictions, temperature: float) -> Predictions:
    """Return the predictions without the temperature of the model; the chosen classes stay."""
    logits = logits_of(predictions.probabilities, several=True)
    return predictions._replace(probabilities=expit(logits * temperature))


def class_scores(predictions: Predictions, splits: Splits) -> ClassScores:
    """Return the probability of each class."""
    return ClassScores(splits.labels, predictions.probabilities, predictions.target > 0)


def tables(predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:
    """Make the table of classes for scores.json."""
    return {"per_class": per_class(predictions, splits.labels)}


def per_class(
    predictions: Predictions, labels: tuple[str, ...]
) -> list[dict[str, float | int | str]]:
    """Compute precision, recall, F1, threshold and number of examples of each class."""
    right, true, chosen = (part.sum(0) for part in predictions.parts)
    precision, recall, f1 = (
        part / np.maximum(total, 1)
        for part, total in ((right, chosen), (right, true), (2 * right, chosen + true))
    )
    rows: list[dict[str, float | int | str]] = []
    for k, label in enumerate(labels):
        scores = {"precision": precision[k], "recall": recall[k], "f1": f1[k]}
        if predictions.thresholds is not None:
            scores["threshold"] = round(float(predictions.thresholds[k]), 4)
        named = {name: float(value) for name, value in scores.items()}
        rows.append({"class": label, **named, "examples": int(true[k])})
    return rows


def figures(predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:
    """Draw F1, precision and recall of the classes, and the calibration; `target` names them."""
    return {
        "classes.png": _draw_classes(per_class(predictions, splits.labels), target),
        "calibration.png": calibrations.draw(calibration(predictions)),
    }


def _draw_classes(rows: list[dict[str, Any]], target: str) -> Any:
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, INK, SECOND, pyplot

    shown = sorted(rows, key=lambda row: row["examples"])[-MAX_SHOWN_CLASSES:]
    names = [f"{fonts().short(row['class'])} ({row['examples']:,})" for row in shown]
    height = 0.26 * len(shown) + 1.4
    figure, axis = pyplot.subplots(figsize=(7, height), layout="constrained")
    positions = range(len(shown))
    axis.barh(positions, [row["f1"] for row in shown], color=FIRST, alpha=0.5, label="F1")
    for name, colour, marker in (("precision", INK, "|"), ("recall", SECOND, ".")):
        values = [row[name] for row in shown]
        axis.plot(values, positions, marker, color=colour, markersize=8, label=name)
    axis.set_yticks(positions, names, parse_math=False)
    axis.set_xlim(0, 1.02)
    more = f"; the {len(shown)} most frequent of {len(rows)}" if len(shown) < len(rows) else ""
    title = f"Classes of {target}".strip() if target else "Classes"
    axis.set_title(f"{title} (number of test examples{more})", fontsize=10, parse_math=False)
    axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(1.0, 0.0))
    return figure
