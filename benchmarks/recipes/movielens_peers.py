"""Predict ratings by popular libraries: Surprise's SVD and SVD++, and myFM.

    python benchmarks/recipes/movielens_peers.py svdpp TRAIN.csv TEST.csv

Takes seconds. The files have the columns user_id, item_id and rating. Surprise runs with its
default settings (SVD: 100 factors, SVD++: 20; 20 epochs each), myFM with rank 10 and 200 Gibbs
steps over one-hot users and items, as in its examples. Only the fit is timed, with the encoding
of the data that it needs. The last line is the root mean squared error on the test set as JSON.

References:
    Hug, Surprise: A Python library for recommender systems, JOSS 2020.
    Ohtsuki, myFM, github.com/tohtsky/myFM.

"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Ratings(NamedTuple):
    """Ids and ratings, row by row."""

    users: list[str]
    items: list[str]
    ratings: np.ndarray


def read(path: Path) -> Ratings:
    """Read a CSV file of ratings."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    ratings = np.array([float(row["rating"]) for row in rows])
    return Ratings([r["user_id"] for r in rows], [r["item_id"] for r in rows], ratings)


def surprise(name: str, train: Ratings, test: Ratings, seed: int) -> tuple[np.ndarray, float]:
    """Return predictions, and seconds of the fit."""
    from surprise import SVD, Dataset, Reader, SVDpp

    rows = list(zip(*train, [None] * len(train.users), strict=True))
    reader = Reader(rating_scale=(train.ratings.min(), train.ratings.max()))
    data = Dataset(reader)
    trainset = data.construct_trainset(rows)
    algorithm = {"svd": SVD, "svdpp": SVDpp}[name](random_state=seed)
    start = time.perf_counter()
    algorithm.fit(trainset)
    seconds = time.perf_counter() - start
    pairs = zip(test.users, test.items, strict=True)
    return np.array([algorithm.predict(*pair).est for pair in pairs]), seconds


def myfm(train: Ratings, test: Ratings, seed: int) -> tuple[np.ndarray, float]:
    """Return predictions, and seconds of the fit."""
    from myfm import MyFMRegressor
    from sklearn.preprocessing import OneHotEncoder

    start = time.perf_counter()
    encoder = OneHotEncoder(handle_unknown="ignore")
    encoded = encoder.fit_transform(np.array([train.users, train.items]).T)
    sizes = [len(names) for names in encoder.categories_]
    model = MyFMRegressor(rank=10, random_seed=seed)
    model.fit(encoded, train.ratings, n_iter=200, n_kept_samples=200, group_shapes=sizes)
    seconds = time.perf_counter() - start
    predicted = model.predict(encoder.transform(np.array([test.users, test.items]).T))
    return np.clip(predicted, train.ratings.min(), train.ratings.max()), seconds


def main() -> None:
    """Fit, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["svd", "svdpp", "myfm"])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, test = read(options.train), read(options.test)
    if options.name == "myfm":
        predicted, seconds = myfm(train, test, options.seed)
    else:
        predicted, seconds = surprise(options.name, train, test, options.seed)
    error = float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))
    print(json.dumps({"rmse": error, "seconds": seconds}))


if __name__ == "__main__":
    main()
