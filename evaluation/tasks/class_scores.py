"""Scores by which examples are ranked, and whether each belongs to a class: for ROC curves."""

from typing import Any, NamedTuple

import numpy as np

from pipelines.splits import Splits


class ClassScores(NamedTuple):
    """The probability of each class and the truth about it, a column for each class.

    Attributes:
        labels: the class of each column. Of two classes only the positive one has a column.
        scores: predicted probabilities, [n, columns].
        truth: whether an example belongs to the class, bool [n, columns].
        weights: of the examples, [n]; None if all count the same.
        positive: the positive class of two; "" if there are several columns.

    """

    labels: tuple[str, ...]
    scores: np.ndarray
    truth: np.ndarray
    weights: np.ndarray | None = None
    positive: str = ""


def no_class_scores(predictions: Any, splits: Any) -> None:  # noqa: ARG001
    """Return nothing, for a task without classes."""
    return


def of_class_numbers(
    splits: Splits, probabilities: np.ndarray, target: np.ndarray, weights: np.ndarray | None
) -> ClassScores:
    """Return the scores of probabilities [n, classes] and true class numbers [n]."""
    if len(splits.labels) == 2:
        k = positive_class(splits.train.targets)
        label = splits.labels[k]
        return ClassScores(
            (label,), probabilities[:, k : k + 1], (target == k)[:, None], weights, label
        )
    truth = target[:, None] == np.arange(len(splits.labels))
    return ClassScores(splits.labels, probabilities, truth, weights)


def positive_class(targets: np.ndarray) -> int:
    """Return the number of the positive class of two: the rarer one, or the second of a tie."""
    counts = np.bincount(targets, minlength=2)
    return 0 if counts[0] < counts[1] else 1
