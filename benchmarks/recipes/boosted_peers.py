"""Train a peer's boosted trees on the rows of `athanor regression train`, and evaluate once.

    python benchmarks/recipes/boosted_peers.py catboost --data cars.csv --target mpg --seed 0

The programs are LightGBM and CatBoost as they come, and with the tuned defaults of Holzmueller,
Grinsztajn and Steinwart (Better by Default, NeurIPS 2024), which stop early on the validation rows;
as they come, they train on these rows too. Both get the columns of categories as such.
"""

import argparse
import importlib.util
import json
import time
from typing import Any, NamedTuple

import numpy as np

PEERS = {
    "lightgbm": "LightGBM",
    "lightgbm_tuned": "LightGBM, tuned defaults",
    "catboost": "CatBoost",
    "catboost_tuned": "CatBoost, tuned defaults",
}
PATIENCE = 300  # iterations without a better validation score
LIGHTGBM_REGRESSION = {"learning_rate": 0.05, "subsample": 0.7, "num_leaves": 100,
                       "min_child_samples": 3}  # fmt: skip
LIGHTGBM_CLASSES = {"learning_rate": 0.04, "subsample": 0.75, "num_leaves": 50,
                    "min_child_samples": 40}  # fmt: skip
LIGHTGBM_BOTH = {"n_estimators": 1000, "subsample_freq": 1, "min_child_weight": 1e-7}
CATBOOST_REGRESSION = {"learning_rate": 0.09, "depth": 9, "random_strength": 0.0,
                       "one_hot_max_size": 20, "leaf_estimation_iterations": 20}  # fmt: skip
CATBOOST_CLASSES = {"learning_rate": 0.08, "depth": 7, "random_strength": 0.8,
                    "one_hot_max_size": 15, "leaf_estimation_iterations": 1}  # fmt: skip
CATBOOST_BOTH = {"iterations": 1000, "l2_leaf_reg": 1e-5, "boosting_type": "Plain",
                 "bootstrap_type": "Bernoulli", "subsample": 0.9}  # fmt: skip


class Rows(NamedTuple):
    """Rows of a split: numbers [n, any], category numbers [n, any] from 0, and targets [n]."""

    numbers: np.ndarray
    categories: np.ndarray
    targets: np.ndarray

    def joined(self, other: "Rows") -> "Rows":
        """Return the rows of both."""
        return Rows(*map(np.concatenate, zip(self, other, strict=True)))


def missing() -> list[str]:
    """Return the names of the packages that are not installed."""
    return [name for name in ("lightgbm", "catboost") if not importlib.util.find_spec(name)]


def installed() -> dict[str, str]:
    """Return the titles of the programs whose packages are installed."""
    absent = missing()
    return {name: title for name, title in PEERS.items() if name.partition("_")[0] not in absent}


def coded(texts: list[np.ndarray]) -> list[np.ndarray]:
    """Replace texts [n, any] of splits by numbers from 1, and those that the first lacks by 0."""
    coded = [np.zeros(part.shape, "int64") for part in texts]
    for column in range(texts[0].shape[1]):
        known = {text: k for k, text in enumerate(sorted(set(texts[0][:, column])), 1)}
        for codes, part in zip(coded, texts, strict=True):
            codes[:, column] = [known.get(text, 0) for text in part[:, column]]
    return coded


def predict(name: str, train: Rows, valid: Rows, test: Rows, *, classes: bool, seed: int) -> Any:
    """Train the program, and return its predictions for the test rows."""
    package, _, tuned = name.partition("_")
    fit = _lightgbm if package == "lightgbm" else _catboost
    return fit(train, valid, test, classes=classes, seed=seed, tuned=bool(tuned))


def _lightgbm(
    train: Rows, valid: Rows, test: Rows, *, classes: bool, seed: int, tuned: bool
) -> np.ndarray:
    import lightgbm

    def matrix(rows: Rows) -> np.ndarray:
        return np.column_stack([rows.numbers, rows.categories])

    width = train.numbers.shape[1]
    categorical = list(range(width, width + train.categories.shape[1]))
    special = LIGHTGBM_CLASSES if classes else LIGHTGBM_REGRESSION
    settings = {**LIGHTGBM_BOTH, **special} if tuned else {}
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    model = kind(random_state=seed, verbose=-1, **settings)
    options: dict[str, Any] = {"categorical_feature": categorical}
    if tuned:
        options["eval_X"], options["eval_y"] = matrix(valid), valid.targets
        options["callbacks"] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    else:
        train = train.joined(valid)
    model.fit(matrix(train), train.targets, **options)
    return model.predict(matrix(test))


def _catboost(
    train: Rows, valid: Rows, test: Rows, *, classes: bool, seed: int, tuned: bool
) -> np.ndarray:
    import catboost

    def pool(rows: Rows) -> Any:
        numbers, texts = rows.numbers.astype("float32"), rows.categories.astype("S").astype(object)
        features = catboost.FeaturesData(
            *(part if part.size else None for part in (numbers, texts))
        )
        return catboost.Pool(features, rows.targets)

    special = CATBOOST_CLASSES if classes else CATBOOST_REGRESSION
    settings = {**CATBOOST_BOTH, **special} if tuned else {}
    kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    model = kind(random_seed=seed, verbose=0, allow_writing_files=False, **settings)
    if tuned:
        model.fit(pool(train), eval_set=pool(valid), early_stopping_rounds=PATIENCE)
    else:
        model.fit(pool(train.joined(valid)))
    return np.ravel(model.predict(pool(test)))


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=PEERS)
    for flag in ("--data", "--target", "--drop"):
        parser.add_argument(flag, default=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    program, seed = options.pop("program"), options.pop("seed")
    from apps import Regression

    splits = Regression(**options).load_splits()
    parts = [splits.train, splits.valid, splits.test]
    features = [part.numpy().features for part in parts]
    codes = coded([part["texts"] for part in features])
    rows = [
        Rows(part["numbers"], categories, examples.targets)
        for part, categories, examples in zip(features, codes, parts, strict=True)
    ]
    start = time.process_time()
    predicted = predict(program, *rows, classes=bool(splits.labels), seed=seed)
    cpu, target = round(time.process_time() - start, 1), splits.test.targets
    if splits.labels:
        scores = {"accuracy": float((predicted == target).mean())}
    else:
        scores = {"rmse": float(np.sqrt(np.mean((predicted - target) ** 2)))}
    print(json.dumps({**scores, "cpu": cpu}))


if __name__ == "__main__":
    main()
