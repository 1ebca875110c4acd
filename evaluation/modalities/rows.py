"""Questions that are rows: what a model has to beat, and which columns it leans on."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from apps.regression.matrices import RowMatrices
from apps.ridge import ridge
from evaluation import kinds
from evaluation.modalities.baselines import majority
from evaluation.tasks import classification, regression
from inference.model_outputs import answering
from pipelines.batches import MAX_INFERENCE_BATCH
from pipelines.examples import Examples
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import Splits
from training.run import Run

RIDGE = 1e-3
ASKED = 30_000  # rows that permutation asks about, of all columns together
MOST_COLUMNS = 100  # that permutation asks about
FEW = 10  # test examples by which they are chosen, where columns are more
FEWEST = 50  # test examples that stand for the others, where columns are many
REPEATS = 3
NUM_SHOWN = 20
CELLS_A_THREAD = 2_000_000  # of a training table: fewer are boosted by one thread
MOST_BOOSTED = 300  # columns that the boosting sees


def baselines(splits: Splits) -> dict[str, Any]:
    """The mean or majority, a linear model in closed form, and gradient boosting as it comes.

    The closed form is ridge regression with a penalty of a thousandth of an
    example; for classes it is logistic regression. Both see the columns as the
    app's models do; scikit-learn's HistGradientBoosting sees them raw, and of more than
    `MOST_BOOSTED` those that go with the target most.
    """
    import sklearn.ensemble  # noqa: F401 - only what is loaded is limited to one thread

    cells = len(splits.train) * min(MOST_BOOSTED, len(splits.train.columns))
    # Threads wait for each other by spinning: beside other work two take 20 times as long as one.
    with threadpool_limits(1 if cells < CELLS_A_THREAD else None, user_api="openmp"):
        fitted = _classes(splits) if splits.labels else _numbers(splits)
    answers = classification.Answers if splits.labels else regression.Answers
    return {name: answers(given, splits.test.targets) for name, given in fitted.items()}


def _numbers(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    target = splits.train.targets.astype("float64")
    train, test = _prepared(splits)
    names = _leading(splits, train)
    raw, raw_test = _coded(splits, names)
    kernel, bias = ridge(train.blocks(), RIDGE / len(train), wide=train.width > len(train))
    boosting = HistGradientBoostingRegressor(**_boosting(splits, names))
    return {
        "mean": np.full(len(test), target.mean()),
        "linear": np.concatenate([x @ kernel[:, 0] + bias for x, _ in test.blocks()]),
        "boosting": boosting.fit(raw, target).predict(raw_test),
    }


def _classes(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    target, num_classes = splits.train.targets, len(splits.labels)
    prepared = _prepared(splits)
    train, test = (part.sparse() for part in prepared)
    names = _leading(splits, prepared[0])
    raw, raw_test = _coded(splits, names)
    given = {"majority": majority(target, num_classes, len(splits.test))}
    models = {
        "linear": (LogisticRegression(max_iter=500), train, test),
        "boosting": (
            HistGradientBoostingClassifier(early_stopping=False, **_boosting(splits, names)),
            raw,
            raw_test,
        ),
    }
    if len(np.unique(target)) < 2:
        return given
    for name, (model, features, asked) in models.items():
        with warnings.catch_warnings():
            # A logistic regression that could go on is baseline enough.
            warnings.simplefilter("ignore")
            model.fit(features, target)
        given[name] = np.zeros((asked.shape[0], num_classes))
        given[name][:, model.classes_] = model.predict_proba(asked)
    return given


def _prepared(splits: Splits) -> list[RowMatrices]:
    """Training and test examples as networks see them."""
    prepare = PrepareColumns.adapted(splits.train)
    return [RowMatrices(prepare, part) for part in (splits.train, splits.test)]


def _leading(splits: Splits, train: RowMatrices) -> list[str]:
    """The columns that the boosting sees: of many those that correlate with the target most.

    References:
        Fan and Lv, Sure Independence Screening for Ultrahigh Dimensional Feature Space,
        Journal of the Royal Statistical Society B 2008, section 2.

    """
    names = list(splits.train.columns)
    if len(names) <= MOST_BOOSTED:
        return names
    target = splits.train.targets
    mean, spread = float(target.mean()), float(target.std()) or 1.0
    sums: Any = 0.0
    for x, y in train.blocks():
        wanted = (y - mean)[:, None] / spread
        if splits.labels:
            wanted = np.eye(len(splits.labels))[y]
        wanted = np.concatenate([np.ones((len(y), 1)), wanted], axis=1)
        sums += np.stack([x.T @ wanted, np.square(x).T @ wanted]) / len(train)
    means, squares = sums[0, :, :1], sums[1, :, :1]
    shares = np.eye(len(splits.labels))[target].mean(0) if splits.labels else 0.0
    apart = np.abs(sums[0, :, 1:] - means * shares).max(1)
    scores = apart / np.sqrt(np.maximum(squares - means**2, 1e-12))[:, 0]
    best = dict.fromkeys(names, 0.0)
    for name, found in zip(train.prepare.origins, scores.tolist(), strict=True):
        best[name] = max(best[name], found)
    chosen = set(sorted(names, key=lambda name: -best[name])[:MOST_BOOSTED])
    return [name for name in names if name in chosen]


def _boosting(splits: Splits, names: list[str]) -> dict[str, Any]:
    texts = [splits.train.columns[name].dtype == object for name in names]
    return {"categorical_features": texts, "random_state": 0}


def _coded(splits: Splits, names: list[str]) -> list[np.ndarray]:
    """Training and test examples with categories as numbers, NaN where one is not known."""
    parts = splits.train, splits.test
    coded = [np.empty((len(part), len(names))) for part in parts]
    for place, name in enumerate(names):
        train, test = (part.columns[name][part.rows] for part in parts)
        pair = _codes(train, test) if train.dtype == object else [train, test]
        for matrix, column in zip(coded, pair, strict=True):
            matrix[:, place] = column
    return coded


def _codes(train: np.ndarray, test: np.ndarray) -> list[list[float]]:
    texts, counts = np.unique(train.astype("S"), return_counts=True)
    # The boosting takes 255 categories.
    known = texts[np.argsort(-counts, kind="stable")][:250].tolist()
    codes = {text: float(code) for code, text in enumerate(known)}
    return [[codes.get(text, np.nan) for text in part] for part in (train, test)]


def figures(run: Run, answers: Any) -> dict[str, Any]:  # noqa: ARG001
    """Permutation importance."""
    target = "" if run.manifest["labels"] else run.manifest["fields"].get("target", "")
    names, rises = importance(run)
    reading = run.manifest.get("reading") or {"names": {}}
    titles = {name: title for title, name in reading["names"].items()}
    return {"importance.png": _drawn([titles.get(name, name) for name in names], rises, target)}


def importance(run: Run, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """How much worse the answers are with one column of the test examples shuffled.

    The names of the columns and the rise of the root mean squared error or of the
    cross-entropy, [columns, repeats]; of many columns those by which answers change most.

    References:
        Breiman, Random Forests, 2001, section 10.

    """
    random, answer = np.random.default_rng(seed), answering(run.model)
    names = _moving(run, answer, random)
    test = run.splits.test
    count = min(len(test), max(FEWEST, ASKED // (REPEATS * len(names))))
    some = test.select(np.sort(random.permutation(len(test))[:count]))
    plain = _loss(run, np.asarray(answer(some.numpy().features)), some.targets)
    shuffled = _shuffled(answer, some, names, REPEATS, random)
    losses = [[_loss(run, part, some.targets) for part in given] for given in shuffled]
    return names, np.array(losses) - plain


def _moving(run: Run, answer: Any, random: np.random.Generator) -> list[str]:
    """All columns; where they are many those that change the answers to a few rows most."""
    names = list(run.splits.test.columns)
    if len(names) <= MOST_COLUMNS:
        return names
    test = run.splits.test
    few = test.select(np.sort(random.permutation(len(test))[:FEW]))
    plain = np.asarray(answer(few.numpy().features))
    shuffled = _shuffled(answer, few, names, 1, random)
    moved = np.array([float(np.abs(given - plain).mean()) for given in shuffled])
    return [names[k] for k in np.sort(np.argsort(-moved, kind="stable")[:MOST_COLUMNS])]


def _shuffled(
    answer: Any, some: Examples, names: list[str], repeats: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """For each column the answers [repeats, rows, ...] to examples in which it is shuffled."""
    features, count = some.numpy().features, len(some)
    at_once = max(1, MAX_INFERENCE_BATCH // (repeats * count))
    for start in range(0, len(names), at_once):
        block = names[start : start + at_once]
        copies = len(block) * repeats
        tiled = {name: np.tile(matrix, (copies, 1)) for name, matrix in features.items()}
        asked = Examples.of(tiled, np.tile(some.targets, copies), kinds=some.kinds)
        for place, name in enumerate(block):
            column = asked.columns[name][place * repeats * count :][: repeats * count]
            for rows in np.split(column, repeats):
                rows[:] = random.permutation(rows)
        given = np.asarray(answer(asked.features))
        yield from given.reshape(len(block), repeats, count, *given.shape[1:])


def _loss(run: Run, given: np.ndarray, target: np.ndarray) -> float:
    judge = kinds.judge(run.task)
    scores = judge.metrics(judge.Answers(given, target))
    return scores["loss"] if run.manifest["labels"] else scores["rmse"]


def _drawn(columns: list[str], rises: np.ndarray, target: str) -> Any:
    """The columns whose loss raises the error most; `target` is empty for classes."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    names = [fonts().short(name) for name in columns]
    means = rises.mean(1)
    order = np.argsort(means, kind="stable")[-NUM_SHOWN:]
    height = 0.28 * len(order) + 1
    figure, axis = pyplot.subplots(figsize=(6, height), layout="constrained")
    axis.barh(range(len(order)), means[order], color=FIRST)
    axis.set_yticks(range(len(order)), [names[k] for k in order], parse_math=False)
    for place, k in enumerate(order):
        axis.plot(rises[k], [place] * rises.shape[1], ".", color=INK, markersize=3)
    unit = f"root mean squared error ({target})" if target else "cross-entropy (nats)"
    axis.set_xlabel(fonts().drawable(f"rise of the {unit}"), parse_math=False)
    title = "with one column of the test examples shuffled"
    if len(order) < len(columns):
        title = f"the {len(order)} of {len(columns)} columns that matter most"
    axis.set_title(title, fontsize=10)
    few_ticks(axis.xaxis)
    return figure
