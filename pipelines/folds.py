"""Folds of training examples, for statistics that must not see an example's own target."""

import numpy as np

from pipelines.examples import Examples
from pipelines.rows.packing import of_matrix

NUM_FOLDS = 5


def fold_numbers(examples: Examples) -> np.ndarray:
    """Return the fold of each example, from 0; examples of a group are in one fold."""
    group = np.arange(len(examples))
    if examples.group_hashes is not None:
        group = np.unique(examples.split_hashes(), return_inverse=True)[1]
    return np.random.default_rng(0).permutation(group.max() + 1)[group] % NUM_FOLDS


def training_folds(train: Examples) -> np.ndarray | None:
    """Return the fold of each stored example of `train`, int32; None for rows without texts."""
    if train.kinds is None or not of_matrix(train.kinds, "texts") or not len(train):
        return None
    folds = np.zeros(len(train.target), "int32")
    folds[train.rows] = fold_numbers(train)
    return folds
