"""Rows: baselines, and the permutation importance of columns."""

import csv
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from apps.app import ModalityName
from apps.regression.matrices import RowMatrices
from apps.regression.solvers import mean_and_deviation
from apps.regression.trees import fit_trees
from apps.ridge import ridge
from evaluation.explanations.permutation import Importance, importance
from evaluation.modalities.baselines import majority
from evaluation.slices.cuts import Cut, by_category, by_number, by_time
from evaluation.tasks import classification, regression
from pipelines.files import atomic_write
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import Splits
from pipelines.tables.cells import distinct_of
from training.run import Run

NAME: ModalityName = "row"
RIDGE_PENALTY = 1e-3  # of the sum over all training examples
MAX_LOGISTIC_EXAMPLES = 2_000_000  # training examples, which are in memory at once
NUM_SHOWN_COLUMNS = 20
MAX_CATEGORIES = 250  # of a column; HistGradientBoosting accepts at most 255


def baselines(splits: Splits) -> Iterator[tuple[str, Any]]:
    """Predict by the mean or majority, a linear model, and boosted trees, from prepared columns.

    The linear model is ridge regression, for classes logistic regression. The trees are those of
    --model boosted.
    """
    prepare = PrepareColumns.adapted(splits.train)
    parts = [RowMatrices(prepare, part) for part in (splits.train, splits.valid, splits.test)]
    fitted = _classes(splits, *parts) if splits.labels else _numbers(splits, *parts)
    of_test_set = classification.of_test_set if splits.labels else regression.of_test_set
    return ((name, of_test_set(splits, output)) for name, output in fitted)


def _numbers(
    splits: Splits, train: RowMatrices, valid: RowMatrices, test: RowMatrices
) -> Iterator[tuple[str, np.ndarray]]:
    penalty, wide = RIDGE_PENALTY / len(train), train.width > len(train)
    mean, deviation = mean_and_deviation(splits.train)
    yield "mean", np.full(len(test), mean)
    # The bias is a float32, which would round a target of times, for example, to minutes.
    centred = ((x, target - mean, weights) for x, target, weights in train.weighted_blocks())
    kernel, bias = ridge(centred, penalty, wide=wide)
    yield "linear", np.concatenate([x @ kernel[:, 0] + bias for x, _ in test.blocks()]) + mean
    yield "boosting", _boosting(train, valid, test)[:, 0] * deviation + mean


def _classes(
    splits: Splits, train: RowMatrices, valid: RowMatrices, test: RowMatrices
) -> Iterator[tuple[str, np.ndarray]]:
    from sklearn.linear_model import LogisticRegression

    target, num_classes = splits.train.targets, len(splits.labels)
    unbalanced = dataclasses.replace(splits.train, class_weights=None).weights
    yield "majority", majority(target, num_classes, len(test), unbalanced)
    if len(np.unique(target)) < 2:
        return
    model = LogisticRegression(max_iter=500)
    with warnings.catch_warnings():
        # A logistic regression that has not converged is good enough as a baseline.
        warnings.simplefilter("ignore")
        sample = train.examples.sample(MAX_LOGISTIC_EXAMPLES)
        part = dataclasses.replace(train, examples=sample)
        model.fit(part.sparse(), sample.targets, sample.relative_weights)
    linear = np.zeros((len(test), num_classes))
    linear[:, model.classes_] = model.predict_proba(test.sparse())
    yield "linear", linear
    yield "boosting", softmax(_boosting(train, valid, test, num_classes), axis=1)


def _boosting(
    train: RowMatrices, valid: RowMatrices, test: RowMatrices, num_classes: int = 0
) -> np.ndarray:
    """Outputs of boosted trees for the test examples, [rows, outputs]."""
    trees = fit_trees(train, valid, num_classes)
    trees.refit(train, valid, num_classes)
    return np.concatenate([trees(block) for block in test.prepared_blocks()]).astype("float64")


def cuts(run: Run, predictions: Any, rows: np.ndarray) -> list[Cut]:  # noqa: ARG001
    """Cut the rows by each column: categories, ranges of numbers and times, lengths of texts."""
    test, titles = run.splits.test.select(rows), _titles(run)
    return [
        cut
        for name, column in test.columns.items()
        for cut in _cuts_of_column(titles.get(name, name), column[test.rows], test.kinds, name)
    ]


def _cuts_of_column(
    title: str, values: np.ndarray, kinds: Mapping[str, str] | None, name: str
) -> Iterator[Cut]:
    kind = (kinds or {}).get(name, "number")
    if kind == "time":
        yield from by_time(title, values)
    elif kind == "category":
        texts, codes = distinct_of(values)
        yield by_category(title, [text.decode("utf-8", "replace") for text in texts], codes)
    elif kind in ("text", "list"):
        lengths = np.fromiter((len(text) for text in values), "float64", len(values))
        yield by_number(f"bytes of {title}", np.where(lengths > 0, lengths, np.nan))
    else:
        yield by_number(title, np.asarray(values))


def _titles(run: Run) -> dict[str, str]:
    """Return the user's name of each column."""
    reading = run.manifest.get("reading") or {"names": {}}
    return {name: title for title, name in reading["names"].items()}


def figures(run: Run, predictions: Any) -> dict[str, Any]:  # noqa: ARG001
    """Draw the permutation importance of columns, and write it to importance.csv."""
    found, titles = importance(run), _titles(run)
    columns = [titles.get(name, name) for name in found.names]
    _write_importance(run.path / "importance.csv", columns, found.means)
    return {"importance.png": draw_importance(run, columns, found)}


def _write_importance(path: Path, columns: list[str], means: np.ndarray) -> None:
    """Write the mean rise of each column, the most important column first."""
    order = np.argsort(-means, kind="stable")
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["column", "rise"])
        lines.writerows([columns[k], f"{means[k]:.4f}"] for k in order)


def draw_importance(run: Run, columns: list[str], found: Importance) -> Any:
    """Draw the most important columns with their intervals."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    names = [fonts().short(name) for name in columns]
    target = "" if run.manifest["labels"] else run.manifest["fields"].get("target", "")
    means = found.means
    order = np.argsort(means, kind="stable")[-NUM_SHOWN_COLUMNS:]
    height = 0.28 * len(order) + 1
    figure, axis = pyplot.subplots(figsize=(6, height), layout="constrained")
    axis.barh(range(len(order)), means[order], color=FIRST)
    axis.set_yticks(range(len(order)), [names[k] for k in order], parse_math=False)
    for position, k in enumerate(order):
        axis.plot(found.intervals[k], [position] * 2, color=INK, linewidth=1)
    unit = f"root mean squared error ({target})" if target else "cross-entropy (nats)"
    axis.set_xlabel(fonts().drawable(f"rise of the {unit}"), parse_math=False)
    title = "permutation importance: one column of the test examples shuffled"
    if len(order) < len(columns):
        title = f"permutation importance: the {len(order)} most important of {len(columns)} columns"
    axis.set_title(title, fontsize=10)
    few_ticks(axis.xaxis)
    return figure
