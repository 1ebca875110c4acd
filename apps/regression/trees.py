"""Boosted trees as a part of a network: choose inputs, fit, fit again with validation examples."""

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from apps.regression.boosting import (
    BoostingOptions,
    Table,
    choose_iterations,
    fit_boosted,
    folds_of,
    sized_options,
)
from apps.regression.complete_trees import MAX_CATEGORIES, BoostedTrees
from apps.regression.ensemble_layers import TreeEnsemble, TreeInputs
from apps.regression.matrices import RowMatrices
from apps.regression.solvers import mean_and_deviation

INPUTS, TREES = "tree_inputs", "trees"  # names of layers
MAX_INPUTS = 100
MAX_EXAMPLES, MAX_HELD_OUT = 2_000_000, 250_000  # of a large table, which more would not improve


class TreePart(NamedTuple):
    """Fitted trees.

    Attributes:
        inputs: layer from `numbers` and `flags` to the inputs of the trees.
        ensemble: layer from these to outputs.

    """

    inputs: TreeInputs
    ensemble: TreeEnsemble

    @classmethod
    def of(cls, model: Any) -> "TreePart":
        """Find the layers in a network."""
        return cls(model.get_layer(INPUTS), model.get_layer(TREES))

    def __call__(self, inputs: Any) -> Any:
        """Return outputs [batch, outputs]."""
        return self.ensemble(self.inputs(inputs))

    def refit(self, train: RowMatrices, valid: RowMatrices, num_classes: int) -> None:
        """Fit the same number of trees to training and validation examples together."""
        trees = _refit(train, valid, num_classes)
        # A class that only validation has would give another number of trees.
        if len(trees.columns) == self.ensemble.trees:
            self.ensemble.set_weights(trees.weights())


def fit_trees(train: RowMatrices, valid: RowMatrices, num_classes: int) -> TreePart:
    """Fit trees to training examples, with as many iterations as held-out examples support."""
    layer, trees, *_ = _fit(train, valid, num_classes)
    categorical = len(layer.flags)
    ensemble = TreeEnsemble.of(trees, num_classes, categorical=categorical, name=TREES)
    return TreePart(TreeInputs(layer.flags, layer.numbers, name=INPUTS), ensemble)


class _Fit(NamedTuple):
    """A fit to training examples.

    Attributes:
        inputs: the layer of inputs.
        trees: as fitted.
        options: of boosting.
        out_of_fold: outputs for each training example, by trees that have not seen it,
            [rows, outputs]; None if validation chose the options.

    """

    inputs: TreeInputs
    trees: BoostedTrees
    options: BoostingOptions
    out_of_fold: np.ndarray | None


def out_of_fold_trees(train: RowMatrices, valid: RowMatrices, num_classes: int) -> Any:
    """Return outputs for each training example by trees without its fold, or None; see `_Fit`."""
    return _fit(train, valid, num_classes).out_of_fold


@functools.lru_cache(maxsize=1)
def _fit(train: RowMatrices, valid: RowMatrices, num_classes: int) -> _Fit:
    """Fit trees; cached for a network and its baselines."""
    layer = choose_inputs(train, num_classes)
    tables = [_table(layer, part, train, num_classes) for part in (train, valid)]
    options = sized_options(len(train), num_classes, tables[0].x.shape[1])
    options, outputs = choose_iterations(tables[0], tables[1], options, folds_of(train.examples))
    return _Fit(layer, fit_boosted(tables[0], options), options, outputs)


@functools.lru_cache(maxsize=1)
def _refit(train: RowMatrices, valid: RowMatrices, num_classes: int) -> BoostedTrees:
    layer, _, options, _ = _fit(train, valid, num_classes)
    first, second = (_table(layer, part, train, num_classes) for part in (train, valid))
    x, target = (
        np.concatenate([getattr(one, name) for one in (first, second)]) for name in ("x", "target")
    )
    weights = None
    if first.weights is not None and second.weights is not None:
        weights = np.concatenate([first.weights, second.weights])
    return fit_boosted(first._replace(x=x, target=target, weights=weights), options)


def _table(layer: TreeInputs, part: RowMatrices, train: RowMatrices, num_classes: int) -> Table:
    most = MAX_EXAMPLES if part == train else MAX_HELD_OUT
    part = dataclasses.replace(part, examples=part.examples.sample(most))
    target, weights = part.examples.targets, part.examples.weights
    if not num_classes:
        mean, deviation = mean_and_deviation(train.examples)
        target = (target - mean) / deviation
    known = train.examples.weights
    if weights is not None and known is not None:
        weights = weights / known.mean()
    x = layer.codes(np.concatenate([layer(block) for block in part.prepared_blocks()]))
    return Table(x, target, num_classes, len(layer.flags), weights)


def choose_inputs(train: RowMatrices, num_classes: int) -> TreeInputs:
    """Return all inputs, or those that explain most of the target's variance if there are many.

    References:
        Fan and Lv, Sure Independence Screening for Ultrahigh Dimensional Feature Space,
        Journal of the Royal Statistical Society B 2008, section 2.

    """
    prepare = train.prepare
    starts = np.cumsum([len(prepare.gaps), *map(len, prepare.categories.values())])
    flags = [
        list(range(start, min(end, start + MAX_CATEGORIES - 1)))
        for start, end in itertools.pairwise(starts.tolist())
        if end > start
    ]
    # Flags of gaps are inputs as they are, and those of items of lists, which come last.
    first = prepare.widths["numbers"]
    numbers = [
        *range(first + len(prepare.gaps)),
        *range(first + int(starts[-1]), sum(prepare.widths.values())),
    ]
    every = TreeInputs(flags, numbers, name=INPUTS)
    if len(flags) + len(numbers) <= MAX_INPUTS:
        return every
    table = _table(every, train, train, num_classes)
    shares = explained_variance(table)
    chosen = np.sort(np.argsort(-shares, kind="stable")[:MAX_INPUTS]).tolist()
    categorical = [flags[index] for index in chosen if index < len(flags)]
    return TreeInputs(
        categorical, [index - len(flags) for index in chosen[len(categorical) :]], name=INPUTS
    )


def explained_variance(table: Table) -> np.ndarray:
    """Return the variance of the target, or of a class, that each input explains by itself."""
    x, target = table.x, table.target
    targets = np.eye(table.num_classes)[target] if table.num_classes else target[:, None]
    weights = np.ones(len(x)) if table.weights is None else table.weights
    targets = targets - np.average(targets, 0, table.weights)
    explained = np.zeros(x.shape[1])
    for column in range(table.num_categorical):
        codes = x[:, column].astype("int64")
        sums = np.stack([np.bincount(codes, weights * one) for one in targets.T])
        totals = np.bincount(codes, weights)
        explained[column] = (sums**2 / np.where(totals > 0, totals, 1)).sum(1).max()
    numbers = x[:, table.num_categorical :].astype("float64")
    numbers -= np.average(numbers, 0, table.weights)
    weighted = numbers * weights[:, None]
    power = np.maximum((weighted * numbers).sum(0), 1e-12)
    explained[table.num_categorical :] = (np.square(weighted.T @ targets).T / power).max(0)
    return explained
