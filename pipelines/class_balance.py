"""Class weights with which all classes count the same: `--balance`."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from pipelines.examples import DataError, Examples

if TYPE_CHECKING:
    from pipelines.splits import Splits


def balanced_class_weights(train: Examples, num_classes: int) -> np.ndarray:
    """Return weights with which all classes of the training examples have the same total."""
    weights = None if train.weight is None else train.weight[train.rows]
    totals = np.bincount(train.targets, weights, num_classes)
    present = totals > 0
    # A class without training examples counts like the mean of the others.
    totals[~present] = totals[present].mean()
    return totals.sum() / (num_classes * totals)


def balance_classes(splits: "Splits") -> "Splits":
    """Return splits whose classes have the same total weight in training and validation.

    Raises DataError if the target is a number, or any number of classes.
    """
    if splits.is_multilabel:
        raise DataError(
            "Received --balance with any number of classes in each row; expected one class. Leave "
            "it out: each class has a threshold of its own, which is lower for rare ones."
        )
    if not splits.labels:
        raise DataError(
            "Received --balance with a target of numbers; expected a target of classes. Leave it "
            "out, or give --task multiclass for numbers that name classes."
        )
    note = (
        "classes are balanced: in training and validation all have the same total weight, and "
        "probabilities are those of equally frequent classes; scores count the rows as they are"
    )
    return dataclasses.replace(
        splits,
        balance=True,
        notes=(*splits.notes, note),
        reading_notes=(*splits.reading_notes, note),
    )
