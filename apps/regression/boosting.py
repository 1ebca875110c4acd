"""Fit gradient-boosted trees by scikit-learn, with as many as held-out examples support."""

from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from apps.regression.complete_trees import DEPTH, BoostedTrees, complete_trees
from apps.regression.mixing import others_of
from pipelines.examples import Examples
from pipelines.folds import NUM_FOLDS, fold_numbers

MAX_TREES = 5_000  # of all outputs together
MAX_TESTED_INPUTS = 15_000  # inputs times rounds
MIN_ROUNDS, MAX_ROUNDS = 50, 1_000
MAX_FOLDED_EXAMPLES = 5_000  # of training: more are held out by validation alone
SMALL_TABLE_ROWS = 2_000  # fewer training examples get slower, simpler trees
PATIENCE = 50  # iterations without a lower held-out loss
MIN_CELLS_FOR_THREADS = 2_000_000  # of the training inputs
ABSENT_CLASS_BIAS = -10.0  # logit of a class without examples


class BoostingOptions(NamedTuple):
    """Arguments of HistGradientBoosting; small tables need slower and simpler trees."""

    iterations: int
    learning_rate: float
    max_leaves: int
    min_leaf_examples: int = 20
    max_features: float = 0.5
    l2: float = 1.0

    def model(self, *, classes: bool, categorical: np.ndarray | None = None) -> Any:
        """Return the unfitted model of scikit-learn."""
        from sklearn import ensemble

        kind = (
            ensemble.HistGradientBoostingClassifier
            if classes
            else ensemble.HistGradientBoostingRegressor
        )
        return kind(
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_depth=DEPTH,
            max_leaf_nodes=self.max_leaves,
            min_samples_leaf=self.min_leaf_examples,
            max_features=self.max_features,
            l2_regularization=self.l2,
            categorical_features=categorical,
            early_stopping=False,
            random_state=0,
        )


class Table(NamedTuple):
    """Inputs and targets of trees.

    Attributes:
        x: inputs [rows, n]; numbers of categories, less than MAX_CATEGORIES, and then numbers
            that float32 represents.
        target: numbers, or class numbers, [rows].
        num_classes: 0 for numbers.
        num_categorical: the number of inputs that are categories.
        weights: of the rows; None for 1.

    """

    x: np.ndarray
    target: np.ndarray
    num_classes: int = 0
    num_categorical: int = 0
    weights: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> "Table":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return self._replace(x=self.x[rows], target=self.target[rows], weights=weights)

    @property
    def total_weight(self) -> float:
        """The sum of the weights."""
        return len(self.x) if self.weights is None else float(self.weights.sum())


def fit_boosted(table: Table, options: BoostingOptions) -> BoostedTrees:
    """Fit trees; with classes their outputs are logits, otherwise there is one output."""
    present = np.unique(table.target) if table.num_classes else np.empty(0)
    if table.num_classes and len(present) < 2:
        return _without_trees(table.num_classes, present)
    values = [np.unique(column) for column in table.x.T]
    trees = complete_trees(_fit(table, options), values, table.num_categorical)
    return _spread_over_classes(trees, present, table.num_classes) if table.num_classes else trees


def _fit(
    table: Table,
    options: BoostingOptions,
    held_out: Table | None = None,
    stopping: dict[str, Any] | None = None,
) -> Any:
    categorical = np.arange(table.x.shape[1]) < table.num_categorical
    model = options.model(classes=bool(table.num_classes), categorical=categorical)
    model.set_params(**stopping or {})
    validation = {}
    if held_out is not None:
        parts = (held_out.x, held_out.target, held_out.weights)
        validation = dict(zip(("X_val", "y_val", "sample_weight_val"), parts, strict=True))
    # Threads wait for each other by spinning: with other load two take 20 times as long as one.
    threads = None if table.x.size > MIN_CELLS_FOR_THREADS else 1
    with threadpool_limits(threads, user_api="openmp"):
        return model.fit(table.x, table.target, table.weights, **validation)


def fit_held_out(train: Table, held_out: Table, options: BoostingOptions) -> tuple[Any, np.ndarray]:
    """Fit scikit-learn's model; return it and the summed loss of held-out rows by iteration.

    Boosting stops after PATIENCE iterations without a lower loss; later ones count as the last.
    The model is None if there is nothing to fit or to score.
    """
    losses = np.full(options.iterations, np.nan)
    if train.num_classes:
        # scikit-learn cannot score classes that it has not seen.
        known = np.isin(held_out.target, np.unique(train.target))
        held_out = held_out.select(np.flatnonzero(known))
    if not len(held_out.x) or (train.num_classes and len(np.unique(train.target)) < 2):
        return None, np.zeros(options.iterations)
    stopping = {"early_stopping": True, "n_iter_no_change": PATIENCE, "scoring": "loss"}
    model = _fit(train, options, held_out, stopping)
    scores = -model.validation_score_[1:]
    losses[: len(scores)] = scores
    losses[len(scores) :] = scores[-1]
    return model, losses * held_out.total_weight


def choose_iterations(
    train: Table, valid: Table, options: BoostingOptions, fold: np.ndarray | None
) -> tuple[BoostingOptions, np.ndarray | None]:
    """Return options that stop boosting where the held-out loss is least.

    Held out is the validation table, or each fold of the training table in turn if `fold` gives
    the fold of each row. Then the outputs for each training row out of fold, [rows, outputs], are
    returned too.
    """
    if fold is None:
        _, losses = fit_held_out(train, valid, options)
        return options._replace(iterations=int(losses.argmin()) + 1), None
    folds = [np.flatnonzero(fold == number) for number in range(NUM_FOLDS)]
    fits = [
        fit_held_out(train.select(others_of(rows, len(fold))), train.select(rows), options)
        for rows in folds
    ]
    iterations = int(np.sum([losses for _, losses in fits], 0).argmin()) + 1
    outputs = np.zeros((len(fold), train.num_classes or 1))
    for rows, (model, _) in zip(folds, fits, strict=True):
        if model is not None:
            model._predictors = model._predictors[:iterations]
            outputs[rows] = _raw_outputs(model, train.x[rows], train.num_classes)
    return options._replace(iterations=iterations), outputs


def _raw_outputs(model: Any, x: np.ndarray, num_classes: int) -> np.ndarray:
    """Return numbers or logits of scikit-learn's model, [rows, outputs]."""
    if not num_classes:
        return model.predict(x)[:, None]
    raw = model.decision_function(x)
    outputs = np.full((len(x), num_classes), ABSENT_CLASS_BIAS)
    outputs[:, model.classes_] = np.stack([-raw / 2, raw / 2], 1) if raw.ndim == 1 else raw
    return outputs


def folds_of(examples: Examples) -> np.ndarray | None:
    """Return the fold of each example; None if they are many, split by time, or of one group.

    Examples of a group are in one fold: others would tell the trees its target.
    """
    if examples.times is not None or len(examples) > MAX_FOLDED_EXAMPLES:
        return None
    folds = fold_numbers(examples)
    return folds if folds.any() else None


def _without_trees(num_classes: int, present: np.ndarray) -> BoostedTrees:
    """Return trees without effect, one per output; absent classes have a low bias."""
    bias = np.full(num_classes, ABSENT_CLASS_BIAS, "float32")
    bias[present] = 0.0
    inner = (num_classes, 2**DEPTH - 1)
    return BoostedTrees(
        np.zeros(inner, "int32"),
        np.zeros(inner, "float32"),
        np.zeros((num_classes, 2**DEPTH), "float32"),
        bias,
    )


def _spread_over_classes(
    trees: BoostedTrees, present: np.ndarray, num_classes: int
) -> BoostedTrees:
    """Give every class an output; of two classes the one output is the difference of logits."""
    if len(present) == num_classes:
        return trees
    if len(present) == 2:
        halves = np.array([-0.5, 0.5], "float32")
        values = (trees.values[:, None] * halves[:, None]).reshape(-1, 2**DEPTH)
        columns, thresholds = (np.repeat(a, 2, 0) for a in (trees.columns, trees.thresholds))
        trees = BoostedTrees(columns, thresholds, values, trees.bias * halves)
    absent = _without_trees(num_classes, present)
    rounds = len(trees.columns) // len(present)

    def spread(part: np.ndarray, filler: np.ndarray) -> np.ndarray:
        every = np.broadcast_to(filler, (rounds, *filler.shape)).copy()
        every[:, present] = part.reshape(rounds, len(present), -1)
        return every.reshape(-1, part.shape[-1])

    bias = absent.bias.copy()
    bias[present] = trees.bias
    return BoostedTrees(
        spread(trees.columns, absent.columns),
        spread(trees.thresholds, absent.thresholds),
        spread(trees.values, absent.values),
        bias,
    )


def sized_options(count: int, num_classes: int, num_inputs: int) -> BoostingOptions:
    """Return options for a number of training examples, classes and inputs.

    Fewer rounds, because of many classes or inputs, learn faster.
    """
    most = min(MAX_TREES // (num_classes or 1), MAX_TESTED_INPUTS // num_inputs, MAX_ROUNDS)
    rounds = max(MIN_ROUNDS, most)
    small = count < SMALL_TABLE_ROWS
    learning_rate = min(0.1, (0.03 if small else 0.05) * MAX_ROUNDS / rounds)
    if small:
        return BoostingOptions(rounds, learning_rate, max_leaves=15, min_leaf_examples=10)
    return BoostingOptions(rounds, learning_rate, max_leaves=32)
