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
from evaluation.modalities.baselines import majority
from evaluation.slices.cuts import Cut, by_category, by_number, by_time
from evaluation.tasks import classification, regression
from inference.model_outputs import compiled
from pipelines.batches import MAX_INFERENCE_BATCH_SIZE
from pipelines.examples import Examples
from pipelines.files import atomic_write
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import Splits
from pipelines.tables.cells import distinct_of
from training.run import Run

NAME: ModalityName = "row"
RIDGE_PENALTY = 1e-3  # of the sum over all training examples
MAX_LOGISTIC_EXAMPLES = 2_000_000  # training examples, which are in memory at once
MAX_PERMUTED_ROWS = 30_000  # that permutation importance predicts, over all columns and repeats
MAX_PERMUTED_COLUMNS = 100
NUM_SCREENING_ROWS = 10  # test examples by which these columns are chosen among more
MIN_PERMUTED_EXAMPLES = 50  # test examples whose columns are shuffled
NUM_REPEATS = 3  # shuffles of each column
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
    target = "" if run.manifest["labels"] else run.manifest["fields"].get("target", "")
    names, rises = importance(run)
    titles = _titles(run)
    columns = [titles.get(name, name) for name in names]
    _write_importance(run.path / "importance.csv", columns, rises)
    return {"importance.png": _draw_importance(columns, rises, target)}


def _write_importance(path: Path, columns: list[str], rises: np.ndarray) -> None:
    """Write the mean rise of each column, the most important column first."""
    means = rises.mean(1)
    order = np.argsort(-means, kind="stable")
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["column", "rise"])
        lines.writerows([columns[k], f"{means[k]:.4f}"] for k in order)


def importance(run: Run, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Compute the permutation importance of columns.

    It is the rise of the root mean squared error or the cross-entropy when one column of the test
    examples is shuffled. Returns the names of the columns, and the rises [columns, repeats]. Of
    many columns the MAX_PERMUTED_COLUMNS with the largest effect on a few predictions are shuffled.

    References:
        Breiman, Random Forests, 2001, section 10.

    """
    random, predict = np.random.default_rng(seed), compiled(run.model)
    names = _influential_columns(run, predict, random)
    test = run.splits.test
    count = min(
        len(test), max(MIN_PERMUTED_EXAMPLES, MAX_PERMUTED_ROWS // (NUM_REPEATS * len(names)))
    )
    sample = test.select(np.sort(random.permutation(len(test))[:count]))
    loss = _loss(run, np.asarray(predict(sample.numpy().features)), sample)
    shuffled = _permuted_outputs(predict, sample, names, NUM_REPEATS, random)
    losses = [[_loss(run, output, sample) for output in outputs] for outputs in shuffled]
    return names, np.array(losses) - loss


def _influential_columns(run: Run, predict: Any, random: np.random.Generator) -> list[str]:
    """Return all columns, or of many those that change the predictions of a few rows most."""
    names = list(run.splits.test.columns)
    if len(names) <= MAX_PERMUTED_COLUMNS:
        return names
    test = run.splits.test
    sample = test.select(np.sort(random.permutation(len(test))[:NUM_SCREENING_ROWS]))
    unshuffled = np.asarray(predict(sample.numpy().features))
    shuffled = _permuted_outputs(predict, sample, names, 1, random)
    changes = np.array([float(np.abs(output - unshuffled).mean()) for output in shuffled])
    return [names[k] for k in np.sort(np.argsort(-changes, kind="stable")[:MAX_PERMUTED_COLUMNS])]


def _permuted_outputs(
    predict: Any, sample: Examples, names: list[str], repeats: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Shuffle each column in turn, and yield the model's outputs [repeats, rows, ...]."""
    features, count = sample.numpy().features, len(sample)
    columns_per_batch = max(1, MAX_INFERENCE_BATCH_SIZE // (repeats * count))
    for start in range(0, len(names), columns_per_batch):
        block = names[start : start + columns_per_batch]
        copies = len(block) * repeats
        tiled = {name: np.tile(matrix, (copies, 1)) for name, matrix in features.items()}
        permuted = Examples.of(tiled, np.tile(sample.targets, copies), kinds=sample.kinds)
        for index, name in enumerate(block):
            column = permuted.columns[name][index * repeats * count :][: repeats * count]
            for rows in np.split(column, repeats):
                rows[:] = random.permutation(rows)
        outputs = np.asarray(predict(permuted.features))
        yield from outputs.reshape(len(block), repeats, count, *outputs.shape[1:])


def _loss(run: Run, output: np.ndarray, sample: Examples) -> float:
    known = (sample.targets, sample.weights)
    if run.task == "classification":
        return classification.metrics(classification.Predictions(output, *known))["loss"]
    return regression.metrics(regression.Predictions(output, *known))["rmse"]


def _draw_importance(columns: list[str], rises: np.ndarray, target: str) -> Any:
    """Draw the most important columns; `target` is empty for classes."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    names = [fonts().short(name) for name in columns]
    means = rises.mean(1)
    order = np.argsort(means, kind="stable")[-NUM_SHOWN_COLUMNS:]
    height = 0.28 * len(order) + 1
    figure, axis = pyplot.subplots(figsize=(6, height), layout="constrained")
    axis.barh(range(len(order)), means[order], color=FIRST)
    axis.set_yticks(range(len(order)), [names[k] for k in order], parse_math=False)
    for position, k in enumerate(order):
        axis.plot(rises[k], [position] * rises.shape[1], ".", color=INK, markersize=3)
    unit = f"root mean squared error ({target})" if target else "cross-entropy (nats)"
    axis.set_xlabel(fonts().drawable(f"rise of the {unit}"), parse_math=False)
    title = "permutation importance: one column of the test examples shuffled"
    if len(order) < len(columns):
        title = f"permutation importance: the {len(order)} most important of {len(columns)} columns"
    axis.set_title(title, fontsize=10)
    few_ticks(axis.xaxis)
    return figure
