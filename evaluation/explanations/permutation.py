"""Permutation importance: the rise of the loss when one column of the test rows is shuffled."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from evaluation.tasks import classification, regression
from inference.model_outputs import compiled
from pipelines.batches import MAX_INFERENCE_BATCH_SIZE
from pipelines.examples import Examples
from training.run import Run

MAX_PERMUTED_ROWS = 30_000  # that are predicted, over all columns and repeats
MAX_PERMUTED_COLUMNS = 100
NUM_SCREENING_ROWS = 10  # test examples by which these columns are chosen among more
MIN_PERMUTED_EXAMPLES = 50  # test examples whose columns are shuffled
NUM_REPEATS = 3  # shuffles of each column
NORMAL_QUANTILE = 1.959964  # of a 95 % interval


class Importance(NamedTuple):
    """The permutation importance of columns.

    Attributes:
        names: of the columns.
        rises: of the loss, for each shuffle, [columns, repeats].
        errors: standard errors of the mean rises, over test rows and shuffles, [columns].
        num_rows: test rows that were shuffled.

    """

    names: list[str]
    rises: np.ndarray
    errors: np.ndarray
    num_rows: int

    @property
    def means(self) -> np.ndarray:
        """The mean rise of each column."""
        return self.rises.mean(1)

    @property
    def intervals(self) -> np.ndarray:
        """The 95 % interval of each mean rise, [columns, 2]."""
        width = NORMAL_QUANTILE * self.errors
        return np.stack([self.means - width, self.means + width], 1)


def importance(run: Run, seed: int = 0) -> Importance:
    """Compute the permutation importance of columns.

    It is the rise of the root mean squared error or the cross-entropy when one column of the test
    examples is shuffled. Of many columns the MAX_PERMUTED_COLUMNS with the largest effect on a few
    predictions are shuffled.

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
    before = _row_losses(run, np.asarray(predict(sample.numpy().features)), sample)
    weights = np.ones(count) if sample.weights is None else sample.weights / sample.weights.mean()
    rises, errors = [], []
    for outputs, donors in _permuted_outputs(predict, sample, names, NUM_REPEATS, random):
        after = np.stack([_row_losses(run, output, sample) for output in outputs])
        rise, influence = _rise(run, before, after, weights)
        rises.append(rise)
        errors.append(_standard_error(influence, donors))
    return Importance(names, np.array(rises), np.array(errors), count)


def _row_losses(run: Run, output: np.ndarray, sample: Examples) -> np.ndarray:
    """Return the cross-entropy or the squared error of each row."""
    if run.task == "classification":
        predictions = classification.Predictions(output, sample.targets)
        return classification.example_scores(predictions)["loss"]
    return regression.Predictions(output, sample.targets).residuals ** 2


def _rise(
    run: Run, before: np.ndarray, after: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rise of the loss [repeats], and the influence of each row [repeats, rows].

    The root of a mean is linear in small changes (delta method).
    """
    means, mean = (after * weights).mean(1), float((before * weights).mean())
    if run.task == "classification":
        rise = means - mean
        return rise, weights * (after - before - rise[:, None])
    roots, root = np.sqrt(means), np.sqrt(mean)
    tiny = np.finfo("float64").tiny
    of_after = (after - means[:, None]) / np.maximum(2 * roots[:, None], tiny)
    of_before = (before - mean) / max(2 * root, tiny) if root > 0 else np.zeros(len(before))
    return roots - root, weights * (of_after - of_before)


def _standard_error(influence: np.ndarray, donors: np.ndarray) -> float:
    """Return the standard error of the mean rise, over rows as receivers and as donors.

    Both are the same test rows: the variance is that of the sum of a row's influences in both
    roles, where each cell counts once (the dyadic form of Cameron, Gelbach and Miller, 2011).

    Args:
        influence: of the rows whose column is replaced, [repeats, rows].
        donors: the row from which each cell comes, [repeats, rows].

    """
    repeats, count = influence.shape
    if count < 2:
        return 0.0
    received = influence.sum(0)
    donated = np.bincount(donors.ravel(), influence.ravel(), count)
    cells = np.square(influence).sum()
    squares = max(np.square(received + donated).sum() - cells, cells)
    return float(np.sqrt(squares) / (repeats * count))


def _influential_columns(run: Run, predict: Any, random: np.random.Generator) -> list[str]:
    """Return all columns, or of many those that change the predictions of a few rows most."""
    names = list(run.splits.test.columns)
    if len(names) <= MAX_PERMUTED_COLUMNS:
        return names
    test = run.splits.test
    sample = test.select(np.sort(random.permutation(len(test))[:NUM_SCREENING_ROWS]))
    unshuffled = np.asarray(predict(sample.numpy().features))
    shuffled = _permuted_outputs(predict, sample, names, 1, random)
    changes = np.array([float(np.abs(output - unshuffled).mean()) for output, _ in shuffled])
    return [names[k] for k in np.sort(np.argsort(-changes, kind="stable")[:MAX_PERMUTED_COLUMNS])]


def _permuted_outputs(
    predict: Any, sample: Examples, names: list[str], repeats: int, random: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffle each column in turn.

    Yields the model's outputs [repeats, rows, ...], and the row of each cell [repeats, rows].
    """
    features, count = sample.numpy().features, len(sample)
    columns_per_batch = max(1, MAX_INFERENCE_BATCH_SIZE // (repeats * count))
    for start in range(0, len(names), columns_per_batch):
        block = names[start : start + columns_per_batch]
        copies = len(block) * repeats
        tiled = {name: np.tile(matrix, (copies, 1)) for name, matrix in features.items()}
        permuted = Examples.of(tiled, np.tile(sample.targets, copies), kinds=sample.kinds)
        donors = np.stack([random.permutation(count) for _ in range(copies)])
        donors = donors.reshape(len(block), repeats, count)
        for index, name in enumerate(block):
            column = permuted.columns[name][index * repeats * count :][: repeats * count]
            for cells, order in zip(np.split(column, repeats), donors[index], strict=True):
                cells[:] = cells[order]
        outputs = np.asarray(predict(permuted.features))
        outputs = outputs.reshape(len(block), repeats, count, *outputs.shape[1:])
        yield from zip(outputs, donors, strict=True)
