"""Rows: baselines, and the permutation importance of columns."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from apps.app import ModalityName
from apps.regression.matrices import RowMatrices
from apps.ridge import ridge
from evaluation.modalities.baselines import majority
from evaluation.tasks import classification, regression
from inference.model_outputs import compiled
from pipelines.batches import MAX_INFERENCE_BATCH_SIZE
from pipelines.examples import Examples
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import Splits
from training.run import Run

NAME: ModalityName = "row"
RIDGE_PENALTY = 1e-3  # of the sum over all training examples
MAX_PERMUTED_ROWS = 30_000  # that permutation importance predicts, over all columns and repeats
MAX_PERMUTED_COLUMNS = 100
NUM_SCREENING_ROWS = 10  # test examples by which these columns are chosen among more
MIN_PERMUTED_EXAMPLES = 50  # test examples whose columns are shuffled
NUM_REPEATS = 3  # shuffles of each column
NUM_SHOWN_COLUMNS = 20
MIN_CELLS_FOR_THREADS = 2_000_000  # of a training table; boosting of fewer uses one thread
MAX_CATEGORIES = 250  # of a column; HistGradientBoosting accepts at most 255
MAX_BOOSTED_COLUMNS = 300


def baselines(splits: Splits) -> dict[str, Any]:
    """Predict by the mean or majority, a linear model, and gradient boosting with default settings.

    The linear model is ridge regression, for classes logistic regression, on the columns as
    the app's models receive them. scikit-learn's HistGradientBoosting receives raw columns:
    the MAX_BOOSTED_COLUMNS that correlate most with the target, if there are more.
    """
    import sklearn.ensemble  # noqa: F401 - threadpool_limits affects loaded libraries only

    cells = len(splits.train) * min(MAX_BOOSTED_COLUMNS, len(splits.train.columns))
    # Threads wait for each other by spinning: on a busy machine two take 20 times as long as one.
    with threadpool_limits(1 if cells < MIN_CELLS_FOR_THREADS else None, user_api="openmp"):
        outputs = _classification_outputs(splits) if splits.labels else _regression_outputs(splits)
    predictions = classification.Predictions if splits.labels else regression.Predictions
    return {name: predictions(output, splits.test.targets) for name, output in outputs.items()}


def _regression_outputs(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    target = splits.train.targets.astype("float64")
    train, test = _preprocess(splits)
    names = _boosted_columns(splits, train)
    raw, raw_test = _encode_categories(splits, names)
    kernel, bias = ridge(train.blocks(), RIDGE_PENALTY / len(train), wide=train.width > len(train))
    boosting = HistGradientBoostingRegressor(**_boosting_options(splits, names))
    return {
        "mean": np.full(len(test), target.mean()),
        "linear": np.concatenate([x @ kernel[:, 0] + bias for x, _ in test.blocks()]),
        "boosting": boosting.fit(raw, target).predict(raw_test),
    }


def _classification_outputs(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    target, num_classes = splits.train.targets, len(splits.labels)
    matrices = _preprocess(splits)
    train, test = (part.sparse() for part in matrices)
    names = _boosted_columns(splits, matrices[0])
    raw, raw_test = _encode_categories(splits, names)
    outputs = {"majority": majority(target, num_classes, len(splits.test))}
    models = {
        "linear": (LogisticRegression(max_iter=500), train, test),
        "boosting": (
            HistGradientBoostingClassifier(
                early_stopping=False, **_boosting_options(splits, names)
            ),
            raw,
            raw_test,
        ),
    }
    if len(np.unique(target)) < 2:
        return outputs
    for name, (model, features, test_features) in models.items():
        with warnings.catch_warnings():
            # A logistic regression that has not converged is good enough as a baseline.
            warnings.simplefilter("ignore")
            model.fit(features, target)
        outputs[name] = np.zeros((test_features.shape[0], num_classes))
        outputs[name][:, model.classes_] = model.predict_proba(test_features)
    return outputs


def _preprocess(splits: Splits) -> list[RowMatrices]:
    """Preprocess training and test examples as for the app's networks."""
    prepare = PrepareColumns.adapted(splits.train)
    return [RowMatrices(prepare, part) for part in (splits.train, splits.test)]


def _boosted_columns(splits: Splits, train: RowMatrices) -> list[str]:
    """Choose the columns for boosting: those that correlate most with the target.

    References:
        Fan and Lv, Sure Independence Screening for Ultrahigh Dimensional Feature Space,
        Journal of the Royal Statistical Society B 2008, section 2.

    """
    names = list(splits.train.columns)
    if len(names) <= MAX_BOOSTED_COLUMNS:
        return names
    target = splits.train.targets
    mean, spread = float(target.mean()), float(target.std()) or 1.0
    sums: Any = 0.0
    for x, y in train.blocks():
        targets = (y - mean)[:, None] / spread
        if splits.labels:
            targets = np.eye(len(splits.labels))[y]
        targets = np.concatenate([np.ones((len(y), 1)), targets], axis=1)
        sums += np.stack([x.T @ targets, np.square(x).T @ targets]) / len(train)
    means, squares = sums[0, :, :1], sums[1, :, :1]
    shares = np.eye(len(splits.labels))[target].mean(0) if splits.labels else 0.0
    covariance = np.abs(sums[0, :, 1:] - means * shares).max(1)
    scores = covariance / np.sqrt(np.maximum(squares - means**2, 1e-12))[:, 0]
    best = dict.fromkeys(names, 0.0)
    for name, score in zip(train.prepare.origins, scores.tolist(), strict=True):
        best[name] = max(best[name], score)
    chosen = set(sorted(names, key=lambda name: -best[name])[:MAX_BOOSTED_COLUMNS])
    return [name for name in names if name in chosen]


def _boosting_options(splits: Splits, names: list[str]) -> dict[str, Any]:
    texts = [splits.train.columns[name].dtype == object for name in names]
    return {"categorical_features": texts, "random_state": 0}


def _encode_categories(splits: Splits, names: list[str]) -> list[np.ndarray]:
    """Return training and test columns with categories as numbers, NaN for an unknown category."""
    parts = splits.train, splits.test
    matrices = [np.empty((len(part), len(names))) for part in parts]
    for index, name in enumerate(names):
        train, test = (part.columns[name][part.rows] for part in parts)
        pair = _codes(train, test) if train.dtype == object else [train, test]
        for matrix, column in zip(matrices, pair, strict=True):
            matrix[:, index] = column
    return matrices


def _codes(train: np.ndarray, test: np.ndarray) -> list[list[float]]:
    texts, counts = np.unique(train.astype("S"), return_counts=True)
    known = texts[np.argsort(-counts, kind="stable")][:MAX_CATEGORIES].tolist()
    codes = {text: float(code) for code, text in enumerate(known)}
    return [[codes.get(text, np.nan) for text in part] for part in (train, test)]


def figures(run: Run, predictions: Any) -> dict[str, Any]:  # noqa: ARG001
    """Draw the permutation importance of columns."""
    target = "" if run.manifest["labels"] else run.manifest["fields"].get("target", "")
    names, rises = importance(run)
    reading = run.manifest.get("reading") or {"names": {}}
    titles = {name: title for title, name in reading["names"].items()}
    return {
        "importance.png": _draw_importance(
            [titles.get(name, name) for name in names], rises, target
        )
    }


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
    loss = _loss(run, np.asarray(predict(sample.numpy().features)), sample.targets)
    shuffled = _permuted_outputs(predict, sample, names, NUM_REPEATS, random)
    losses = [[_loss(run, output, sample.targets) for output in outputs] for outputs in shuffled]
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


def _loss(run: Run, output: np.ndarray, target: np.ndarray) -> float:
    if run.task == "classification":
        return classification.metrics(classification.Predictions(output, target))["loss"]
    return regression.metrics(regression.Predictions(output, target))["rmse"]


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
