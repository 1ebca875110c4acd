"""Questions that are rows: what a model has to beat, and which columns it leans on."""

import warnings
from typing import Any

import numpy as np

from evaluation import classes, kinds, numbers
from evaluation.asking import ask
from evaluation.baselines import majority
from pipelines.columns import PrepareColumns
from pipelines.examples import Examples
from pipelines.feed import feed
from pipelines.splits import Splits
from training.run import Run

BLOCK = 8192
RIDGE = 1e-3
ASKED = 30_000  # rows that permutation asks about, of all columns together
FEWEST = 50  # test examples that stand for the others, where columns are many
REPEATS = 3
NUM_SHOWN = 20


def baselines(splits: Splits) -> dict[str, Any]:
    """The mean or majority, a linear model in closed form, and gradient boosting as it comes.

    The closed form is ridge regression with a penalty of a thousandth of an
    example; for classes it is logistic regression. Both see the columns as the
    app's models do; scikit-learn's HistGradientBoosting sees them raw.
    """
    fitted = _classes(splits) if splits.labels else _numbers(splits)
    answers = classes.Answers if splits.labels else numbers.Answers
    return {name: answers(given, splits.test.targets) for name, given in fitted.items()}


def _numbers(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    target = splits.train.targets.astype("float64")
    (train, test), (raw, raw_test) = _prepared(splits), _coded(splits)
    boosting = HistGradientBoostingRegressor(categorical_features=_texts(splits), random_state=0)
    return {
        "mean": np.full(len(test), target.mean()),
        "linear": Ridge(RIDGE).fit(train, target).predict(test),
        "boosting": boosting.fit(raw, target).predict(raw_test),
    }


def _classes(splits: Splits) -> dict[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    target, num_classes = splits.train.targets, len(splits.labels)
    (train, test), (raw, raw_test) = _prepared(splits), _coded(splits)
    given = {"majority": majority(target, num_classes, len(test))}
    models = {
        "linear": (LogisticRegression(max_iter=500), train, test),
        "boosting": (
            HistGradientBoostingClassifier(
                categorical_features=_texts(splits), early_stopping=False, random_state=0
            ),
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
        given[name] = np.zeros((len(asked), num_classes))
        given[name][:, model.classes_] = model.predict_proba(asked)
    return given


def _prepared(splits: Splits) -> list[np.ndarray]:
    """Training and test examples, [n, columns and flags]."""
    prepare = PrepareColumns.adapted(splits.train)

    def joined(examples: Examples) -> np.ndarray:
        blocks = (features for features, _ in feed(examples, batch_size=BLOCK, prepare=prepare))
        parts = [np.concatenate([block["numbers"], block["flags"]], axis=1) for block in blocks]
        return np.concatenate(parts).astype("float64")

    return [joined(splits.train), joined(splits.test)]


def _texts(splits: Splits) -> list[bool]:
    return [dtype == "string" for _, dtype in splits.spec["features"].values()]


def _coded(splits: Splits) -> list[np.ndarray]:
    """Training and test examples with categories as numbers, NaN where one is not known."""
    train, test = (part.numpy().features for part in (splits.train, splits.test))
    found: list[list[np.ndarray]] = [[], []]
    for name, column in train.items():
        pair = [column, test[name]]
        if column.dtype == object:
            texts, counts = np.unique(column.astype("S"), return_counts=True)
            # The boosting takes 255 categories.
            known = texts[np.argsort(-counts, kind="stable")][:250].tolist()
            codes = {text: float(code) for code, text in enumerate(known)}
            pair = [np.array([codes.get(text, np.nan) for text in part]) for part in pair]
        for columns, part in zip(found, pair, strict=True):
            columns.append(part)
    return [np.stack(columns, axis=1).astype("float64") for columns in found]


def figures(run: Run, answers: Any) -> dict[str, Any]:  # noqa: ARG001
    """Permutation importance."""
    return {"importance.png": _drawn(*importance(run), run.passport["answer"])}


def importance(run: Run, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """How much worse the answers are with one column of the test examples shuffled.

    The names of the columns and the rise of the root mean squared error or of the
    cross-entropy, [columns, repeats].

    References:
        Breiman, Random Forests, 2001, section 10.

    """
    random = np.random.default_rng(seed)
    names = list(run.splits.spec["features"])
    count = min(len(run.splits.test), max(FEWEST, ASKED // (REPEATS * len(names))))
    some = random.permutation(len(run.splits.test))[:count]
    features, target = run.splits.test.numpy(np.sort(some))
    copies = 1 + REPEATS * len(names)
    asked = {name: np.tile(column, copies) for name, column in features.items()}
    for place, name in enumerate(names):
        for repeat in range(REPEATS):
            start = (1 + place * REPEATS + repeat) * count
            asked[name][start : start + count] = random.permutation(features[name])
    given = ask(run.model, Examples.of(asked, np.tile(target, copies)))
    losses = [_loss(run, part, target) for part in given.reshape(copies, count, *given.shape[1:])]
    return names, np.reshape(losses[1:], (len(names), REPEATS)) - losses[0]


def _loss(run: Run, given: np.ndarray, target: np.ndarray) -> float:
    judge = kinds.judge(run.passport["answer"])
    scores = judge.metrics(judge.Answers(given, target))
    return scores["loss"] if run.passport["labels"] else scores["rmse"]


def _drawn(names: list[str], rises: np.ndarray, answer: str) -> Any:
    from evaluation.style import FIRST, INK, pyplot

    means = rises.mean(1)
    order = np.argsort(means, kind="stable")[-NUM_SHOWN:]
    height = 0.28 * len(order) + 1
    figure, axis = pyplot.subplots(figsize=(6, height), layout="constrained")
    axis.barh([names[k] for k in order], means[order], color=FIRST)
    for place, k in enumerate(order):
        axis.plot(rises[k], [place] * rises.shape[1], ".", color=INK, markersize=3)
    unit = "cross-entropy (nats)" if answer == "classes" else "root mean squared error"
    axis.set(xlabel=f"rise of the {unit}", title="with one column of the test examples shuffled")
    return figure
