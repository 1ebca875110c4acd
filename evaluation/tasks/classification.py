"""Judging answers that are classes."""

import math
from typing import Any, NamedTuple

import numpy as np

from apps.metrics import metric
from evaluation.intervals import Interval, Resampled, draws, of_mean, wilson_by_variance
from inference.model_outputs import ask
from pipelines.splits import Splits
from training.run import Run

COUNTED = 30  # classes up to which a confusion matrix shows its counts
LARGEST, SMALLEST = 15.0, 4.0  # inches of a side of it; points of a label


class Answers(NamedTuple):
    """Probabilities [n, classes] that a model gave, and the true classes [n]."""

    probabilities: np.ndarray
    target: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example."""
        return self.probabilities.argmax(1)


def answers_of(run: Run) -> Answers:
    """The run's answers to its test examples."""
    return Answers(ask(run.model, run.splits.test), run.splits.test.targets)


def given(splits: Splits, outputs: dict[str, np.ndarray]) -> Answers:
    """What somebody else answered to the test examples, by the names of an export."""
    return Answers(outputs["probabilities"], splits.test.targets)


def per_example(answers: Answers) -> dict[str, np.ndarray]:
    """What the metrics are means of: right or not, and cross-entropy in nats."""
    likelihood = answers.probabilities[np.arange(len(answers.target)), answers.target]
    return {
        "accuracy": (answers.predicted == answers.target).astype("float64"),
        "loss": -np.log(np.maximum(likelihood.astype("float64"), 1e-12)),
    }


def metrics(answers: Answers) -> dict[str, float]:
    """Accuracy, mean cross-entropy (nats), and the unweighted mean of the classes' F1."""
    means = {name: float(values.mean()) for name, values in per_example(answers).items()}
    counts = confusion(answers)
    return means | {"macro_f1": _macro_f1(counts.diagonal(), counts.sum(1), counts.sum(0))}


def resampled(answers: Answers, seed: int = 0) -> Resampled:
    """Each metric of every bootstrap resample of the examples."""
    values, num_classes = per_example(answers), answers.probabilities.shape[1]
    target, predicted = answers.target, answers.predicted
    found: dict[str, list[float]] = {name: [] for name in [*values, "macro_f1"]}
    for rows in draws(len(target), seed):
        for name, column in values.items():
            found[name].append(column[rows].mean())
        true, said = target[rows], predicted[rows]
        parts = (true[true == said], true, said)
        counts = [np.bincount(part, minlength=num_classes) for part in parts]
        found["macro_f1"].append(_macro_f1(*counts))
    return {name: np.array(column) for name, column in found.items()}


def intervals(answers: Answers, drawn: Resampled | None = None) -> dict[str, Interval]:
    """95 % intervals: Wilson's of the shares, BCa of the loss.

    `drawn` is what `resampled` gives; without it the answers are resampled here.
    """
    drawn = resampled(answers) if drawn is None else drawn
    values = per_example(answers)
    found = {name: of_mean(column, drawn[name], metric(name)) for name, column in values.items()}
    macro_f1 = metrics(answers)["macro_f1"]
    count = len(answers.target)
    return found | {"macro_f1": wilson_by_variance(macro_f1, drawn["macro_f1"], count)}


def _macro_f1(right: np.ndarray, true: np.ndarray, said: np.ndarray) -> float:
    """From counts by class, over the classes that are there, truly or by mistake."""
    total = true + said
    there = total > 0
    return float(np.mean(2 * right[there] / total[there]))


def confusion(answers: Answers) -> np.ndarray:
    """Counts [true class, predicted class]."""
    num_classes = answers.probabilities.shape[1]
    pairs = answers.target * num_classes + answers.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(answers: Answers, labels: tuple[str, ...]) -> list[dict[str, float | int | str]]:
    """Precision, recall, F1 and number of examples of each class."""
    counts = confusion(answers)
    right, said, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    precision, recall = (right / np.maximum(total, 1) for total in (said, true))
    f1 = 2 * right / np.maximum(said + true, 1)
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


def details(answers: Answers, splits: Splits) -> dict[str, list[dict[str, Any]]]:
    """Tables for scores.json."""
    return {"per_class": per_class(answers, splits.labels)}


def figures(answers: Answers, splits: Splits, target: str = "") -> dict[str, Any]:
    """The confusion matrix; `target` names what is predicted."""
    return {"confusion.png": _confusion(confusion(answers), splits.labels, target)}


def _confusion(counts: np.ndarray, names: tuple[str, ...], target: str) -> Any:
    from evaluation.fonts import fonts, width
    from evaluation.style import INK, pyplot

    labels = [fonts().short(name) for name in names]
    side = min(LARGEST, max(4.0, 0.45 * len(labels) + 1.5))
    figure, axis = pyplot.subplots(figsize=(side, side), layout="constrained")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The root makes single mistakes visible beside thousands of right answers.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    points = min(10.0, 60 * (side - 1.5) / len(labels))  # of letters as high as a row, nearly
    named = slice(None, None, math.ceil(SMALLEST / points))
    ticks, shown = range(len(labels))[named], labels[named]
    turned = 90 if max(map(width, labels)) > 3 or len(labels) > COUNTED else 0
    size = max(points, SMALLEST)
    axis.set_xticks(ticks, shown, rotation=turned, fontsize=size, parse_math=False)
    axis.set_yticks(ticks, shown, fontsize=size, parse_math=False)
    axis.set_xlabel(f"predicted {target}".strip(), parse_math=False)
    axis.set_ylabel(f"true {target}".strip(), parse_math=False)
    axis.set_title("test examples; colour: root of the row share", fontsize=10)
    axis.spines[:].set_visible(False)
    if len(labels) <= COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                light = shares[row, column] > 0.3
                axis.text(
                    column, row, f"{count:,}",
                    ha="center", va="center", fontsize=8, color="white" if light else INK,
                )  # fmt: skip
    return figure
