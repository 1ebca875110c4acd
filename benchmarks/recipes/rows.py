"""Split a data set of rows by a seed, train one program on it, and evaluate once.

    python benchmarks/recipes/rows.py athanor housing --seed 0
    python benchmarks/recipes/rows.py boosting housing --seed 0

A fifth of the rows, drawn with the seed, is the test set. The program trains and chooses on the
rest, without rows that equal a test row in all columns but the target: athanor validates on a
tenth of it, chosen by a hash; boosting, scikit-learn's HistGradientBoosting with its defaults,
trains on all of it. LightGBM and CatBoost are those of boosted_peers.py; with tuned defaults they
stop early on every tenth row of the rest.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boosted_peers
import numpy as np
from boosted_peers import Rows

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


def read_rows(name: str, data: Path) -> list[list[str]]:
    """Return the lines of a set, its header first."""
    if name == "diabetes":
        from sklearn.datasets import load_diabetes

        bunch = load_diabetes(scaled=False)
        table = np.column_stack([bunch.data, bunch.target])
        return [[*bunch.feature_names, "target"], *table.astype(str).tolist()]
    if name == "wine":
        import tensorflow_datasets as tfds

        examples = tfds.as_numpy(tfds.load("wine_quality/white", split="train"))
        rows = [[*map(str, row["features"].values()), str(row["quality"])] for row in examples]
        return [[*next(iter(examples))["features"], "quality"], *rows]
    with (data / SETS[name][0]).open(newline="") as file:
        return list(csv.reader(file))


def split_rows(
    lines: list[list[str]], target: str, seed: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Return training and test rows, each below the header."""
    header, *body = lines
    order = np.random.default_rng(seed).permutation(len(body))
    inputs = [
        tuple(c for c, name in zip(row, header, strict=True) if name != target) for row in body
    ]
    test = order[: len(body) // 5]
    test_inputs = {inputs[k] for k in test}
    train = [k for k in order[len(body) // 5 :] if inputs[k] not in test_inputs]
    return [header, *(body[k] for k in train)], [header, *(body[k] for k in test)]


def athanor(parts: tuple, target: str, seed: int) -> dict:
    """Run `athanor regression train` with default flags; return its test scores."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("train.csv", "test.csv")]
        for path, lines in zip(paths, parts, strict=True):
            with path.open("w", newline="") as file:
                csv.writer(file).writerows(lines)
        train, test = (f"csv:{path}" for path in paths)
        words = ["--data", train, "--test", test, "--target", target, "--seed", str(seed)]
        command = [sys.executable, "-m", "athanor", "regression", "train", *words, "--json"]
        process = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True, text=True)
    result = json.loads(process.stdout.splitlines()[-1])
    baselines = {name: scores["rmse"] for name, scores in result["baselines"].items()}
    return {**result["test"], **baselines}


def boosting(parts: tuple, target: str, program: str, seed: int) -> dict:
    """Train boosted trees; return their test RMSE."""
    train, test = _read_features(parts, target)
    if program == "boosting":
        from sklearn.ensemble import HistGradientBoostingRegressor

        matrices = [np.column_stack([rows.numbers, rows.categories]) for rows in (train, test)]
        model = HistGradientBoostingRegressor(random_state=seed).fit(matrices[0], train.targets)
        predicted = model.predict(matrices[1])
    else:
        held_out = np.arange(len(train.targets)) % 10 == 0  # the rows are in random order
        fitted, valid = (Rows(*(part[rows] for part in train)) for rows in (~held_out, held_out))
        predicted = boosted_peers.predict(program, fitted, valid, test, classes=False, seed=seed)
    return {"rmse": float(np.sqrt(np.mean((predicted - test.targets) ** 2)))}


def _read_features(parts: tuple, target: str) -> list[Rows]:
    """Return both splits as numbers and categories; a column of numbers has numbers alone."""
    header = parts[0][0]
    cells = [np.array([*part[1:]], dtype=object) for part in parts]
    targets = [part[:, header.index(target)].astype(float) for part in cells]
    numbers: list[list[np.ndarray]] = [[], []]
    texts: list[list[np.ndarray]] = [[], []]
    for name in header:
        pair = [part[:, header.index(name)] for part in cells]
        if name != target:
            try:
                pair = [np.array([float(c or "nan") for c in part]) for part in pair]
                matrices = numbers
            except ValueError:
                matrices = texts
            for matrix, column in zip(matrices, pair, strict=True):
                matrix.append(column)
    counts = [len(part) for part in cells]
    stacked = [
        [np.reshape(matrix, (-1, count)).T for matrix, count in zip(kind, counts, strict=True)]
        for kind in (numbers, texts)
    ]
    stacked[1] = boosted_peers.coded(stacked[1])
    return [Rows(*split) for split in zip(*stacked, targets, strict=True)]


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["athanor", "boosting", *boosted_peers.PEERS])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=SHARED, help="Directory of the files.")
    options = parser.parse_args()
    target = SETS[options.set][1]
    parts = split_rows(read_rows(options.set, options.folder), target, options.seed)
    start = time.perf_counter()
    if options.program == "athanor":
        scores = athanor(parts, target, options.seed)
    else:
        scores = boosting(parts, target, options.program, options.seed)
    sizes = {"train": len(parts[0]) - 1, "test": len(parts[1]) - 1}
    print(json.dumps({**scores, **sizes, "seconds": round(time.perf_counter() - start, 3)}))


if __name__ == "__main__":
    main()
