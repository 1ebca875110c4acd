"""Predict ratings by popular libraries: Surprise's SVD and SVD++, and myFM; rank items by EASE.

    python benchmarks/recipes/movielens_peers.py svdpp TRAIN.csv TEST.csv

Takes seconds. The files have the columns user_id, item_id and rating. Surprise runs with its
default settings (SVD: 100 factors, SVD++: 20; 20 epochs each), myFM with rank 10 and 200 Gibbs
steps over one-hot users and items, as in its examples. Only the fit is timed, with the encoding
of the data that it needs. The last line is the root mean squared error on the test set as JSON.

EASE (equation 8 of its paper, in NumPy) ranks all items without a training rating of the user. A
test item is relevant if its rating is at least the mean of the training ratings. Users without
such an item are left out.

References:
    Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019.
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

EASE_L2 = 200.0
LIST_LENGTHS = (10, 20)


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


def ease(train: Ratings, test: Ratings) -> tuple[dict[str, float], float]:
    """Return recall and NDCG of lists, and seconds of the fit."""
    start = time.perf_counter()
    users, items = ({name: k for k, name in enumerate(sorted(set(ids)))} for ids in train[:2])
    rows = [users[name] for name in train.users]
    columns = [items[name] for name in train.items]
    matrix = np.zeros((len(users), len(items)))
    matrix[rows, columns] = train.ratings / train.ratings.max()
    inverse = np.linalg.inv(matrix.T @ matrix + EASE_L2 * np.eye(len(items)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    seconds = time.perf_counter() - start
    scores = np.where(matrix > 0, -np.inf, matrix @ weights)
    relevant: dict[str, set[str]] = {}
    for user, item, rating in zip(*test, strict=True):
        if rating >= train.ratings.mean():
            relevant.setdefault(user, set()).add(item)
    names = np.array([*items])
    lists = {user: names[np.argsort(-scores[users[user]])] for user in relevant if user in users}
    return {
        f"{name}_at_{k}": float(np.mean([score(lists[u][:k], relevant[u]) for u in lists]))
        for name, score in (("recall", recall), ("ndcg", ndcg))
        for k in LIST_LENGTHS
    }, seconds


def recall(items: np.ndarray, relevant: set[str]) -> float:
    """Return the share of the relevant items that are in the list."""
    return sum(item in relevant for item in items) / len(relevant)


def ndcg(items: np.ndarray, relevant: set[str]) -> float:
    """Return the discounted cumulative gain, divided by that of the best list."""
    discounts = 1 / np.log2(np.arange(2, len(items) + 2))
    gain = discounts[[item in relevant for item in items]].sum()
    return float(gain / discounts[: len(relevant)].sum())


def main() -> None:
    """Fit, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["svd", "svdpp", "myfm", "ease"])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, test = read(options.train), read(options.test)
    if options.name == "ease":
        lists, seconds = ease(train, test)
        print(json.dumps(lists | {"seconds": seconds}))
        return
    if options.name == "myfm":
        predicted, seconds = myfm(train, test, options.seed)
    else:
        predicted, seconds = surprise(options.name, train, test, options.seed)
    error = float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))
    print(json.dumps({"rmse": error, "seconds": seconds}))


if __name__ == "__main__":
    main()
