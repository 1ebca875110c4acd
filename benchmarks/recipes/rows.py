"""One data set of rows, one program: cut with the seed, trained, judged once.

    python benchmarks/recipes/rows.py athanor housing --seed 0
    python benchmarks/recipes/rows.py boosting housing --seed 0

A fifth of the rows, drawn with the seed, is the test set. The rest, without those that
equal a test row in all but the target, is the program's to train and to choose on:
athanor validates on a tenth of it, by a hash; boosting, scikit-learn's
HistGradientBoosting as it comes, and lightgbm, with 1,000 trees and a rate of 0.05,
train on all of it.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
# File and target.
SETS = {
    "housing": ("california_housing/housing.csv", "median_house_value"),
    "concrete": ("concrete_strength/concrete_strength.csv", "compressive_strength"),
    "auto_mpg": ("auto_mpg/auto_mpg.csv", "mpg"),
    "diamonds": ("diamonds/diamonds.csv", "price"),
    "diabetes": ("", "target"),
    "wine": ("", "quality"),
}


def rows(name: str, data: Path) -> list[list[str]]:
    """The lines of a set, its header first."""
    if name == "diabetes":
        from sklearn.datasets import load_diabetes

        bunch = load_diabetes(scaled=False)
        table = np.column_stack([bunch.data, bunch.target])
        return [[*bunch.feature_names, "target"], *table.astype(str).tolist()]
    if name == "wine":
        import tensorflow_datasets as tfds

        found = tfds.as_numpy(tfds.load("wine_quality/white", split="train"))
        table = [[*map(str, row["features"].values()), str(row["quality"])] for row in found]
        return [[*next(iter(found))["features"], "quality"], *table]
    with (data / SETS[name][0]).open(newline="") as file:
        return list(csv.reader(file))


def cut(lines: list[list[str]], target: str, seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Training and test rows, each under the header."""
    header, *body = lines
    order = np.random.default_rng(seed).permutation(len(body))
    asked = [
        tuple(c for c, name in zip(row, header, strict=True) if name != target) for row in body
    ]
    test = order[: len(body) // 5]
    known = {asked[k] for k in test}
    train = [k for k in order[len(body) // 5 :] if asked[k] not in known]
    return tuple([header, *(body[k] for k in part)] for part in (train, test))


def athanor(parts: tuple, target: str, seed: int) -> dict:
    """`athanor regression train` with default flags."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("train.csv", "test.csv")]
        for path, lines in zip(paths, parts, strict=True):
            with path.open("w", newline="") as file:
                csv.writer(file).writerows(lines)
        train, test = (f"csv:{path}" for path in paths)
        words = ["--data", train, "--test", test, "--target", target, "--seed", str(seed)]
        command = [sys.executable, "-m", "athanor", "regression", "train", *words, "--json"]
        ended = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True, text=True)
    said = json.loads(ended.stdout.splitlines()[-1])
    beside = {name: scores["rmse"] for name, scores in said["baselines"].items()}
    return {**said["test"], **beside}


def trees(model: object, parts: tuple, target: str) -> dict:
    """A model of scikit-learn's form on numbers, and on categories as numbers."""
    header = parts[0][0]
    columns = [name for name in header if name != target]
    cells = [np.array([*part[1:]], dtype=object) for part in parts]
    x, y = [], []
    for part in cells:
        y.append(part[:, header.index(target)].astype(float))
        x.append([])
    for name in columns:
        pair = [part[:, header.index(name)] for part in cells]
        try:
            pair = [np.array([float(c or "nan") for c in part]) for part in pair]
        except ValueError:
            codes = {text: k for k, text in enumerate(sorted(set(pair[0])))}
            pair = [np.array([codes.get(c, np.nan) for c in part], float) for part in pair]
        for found, column in zip(x, pair, strict=True):
            found.append(column)
    train, test = (np.column_stack(part) for part in x)
    given = model.fit(train, y[0]).predict(test)
    return {"rmse": float(np.sqrt(np.mean((given - y[1]) ** 2)))}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["athanor", "boosting", "lightgbm"])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=SHARED, help="Where the files lie.")
    given = parser.parse_args()
    target = SETS[given.set][1]
    parts = cut(rows(given.set, given.folder), target, given.seed)
    start = time.perf_counter()
    if given.program == "athanor":
        scores = athanor(parts, target, given.seed)
    elif given.program == "boosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        scores = trees(HistGradientBoostingRegressor(random_state=given.seed), parts, target)
    else:
        from lightgbm import LGBMRegressor

        model = LGBMRegressor(
            n_estimators=1000, learning_rate=0.05, random_state=given.seed, verbose=-1
        )
        scores = trees(model, parts, target)
    sizes = {"train": len(parts[0]) - 1, "test": len(parts[1]) - 1}
    print(json.dumps({**scores, **sizes, "seconds": round(time.perf_counter() - start, 3)}))


if __name__ == "__main__":
    main()
