"""Judging answers that are classes."""

from typing import NamedTuple

import numpy as np

from evaluation.baselines import majority, softmax_regression
from pipelines.splits import Splits

RESAMPLES = 1000


class Answers(NamedTuple):
    """Probabilities [n, classes] that a model gave, and the true classes [n]."""

    probabilities: np.ndarray
    target: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example."""
        return self.probabilities.argmax(1)


def per_example(answers: Answers) -> dict[str, np.ndarray]:
    """What the metrics are means of: right or not, and cross-entropy in nats."""
    likelihood = answers.probabilities[np.arange(len(answers.target)), answers.target]
    return {
        "accuracy": (answers.predicted == answers.target).astype("float64"),
        "loss": -np.log(np.maximum(likelihood.astype("float64"), 1e-12)),
    }


def metrics(answers: Answers) -> dict[str, float]:
    """Accuracy and mean cross-entropy (nats)."""
    return {name: float(values.mean()) for name, values in per_example(answers).items()}


def intervals(answers: Answers, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of the metrics (Efron 1979), 1000 resamples."""
    random = np.random.default_rng(seed)
    values = per_example(answers)
    means: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(answers.target), len(answers.target), dtype=np.int32)
        for name, column in values.items():
            means[name].append(column[rows].mean())
    return {
        name: (float(np.percentile(column, 2.5)), float(np.percentile(column, 97.5)))
        for name, column in means.items()
    }


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


def baselines(splits: Splits) -> dict[str, dict[str, float]]:
    """Metrics of the trivial answers to the same test examples."""
    num_classes, target = len(splits.labels), splits.test.targets
    answers = {
        "majority": majority(splits.train.targets, num_classes, len(target)),
        "softmax_regression": softmax_regression(splits.train, splits.test, num_classes),
    }
    return {name: metrics(Answers(given, target)) for name, given in answers.items()}
