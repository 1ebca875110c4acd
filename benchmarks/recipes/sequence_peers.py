"""Predict the next item of each user by counts of transitions from item to item.

    python benchmarks/recipes/sequence_peers.py markov TRAIN.csv TEST.csv

Takes seconds. The files have the columns user_id, item_id and timestamp; the test file has one
row for each user. `markov` is a Markov chain of first order: it scores an item by the number of
users who took it directly after the user's last item. `transitions` counts all pairs of items of
a user up to 20 places apart, each divided by the root of the distance, normalises the counts by
the roots of the sums of rows and columns, and adds up those from the user's last 20 items in the
same way. Ties are broken by popularity. All items without a training row of the user are ranked.
The last line is the results as JSON.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np

MAX_DISTANCE, POWER = 20, 0.5
LIST_LENGTHS = (10, 20)


def read(path: Path) -> list[tuple[str, str, float]]:
    """Read the rows of a CSV file: user, item, time."""
    with path.open(newline="") as file:
        return [
            (row["user_id"], row["item_id"], float(row["timestamp"]))
            for row in csv.DictReader(file)
        ]


def scores_by_transitions(
    users: np.ndarray, items: np.ndarray, shape: tuple[int, int], max_distance: int, power: float
) -> np.ndarray:
    """Return the scores [users, items]; users are sorted, the items of each by time."""
    table = np.zeros((shape[1], shape[1]))
    distances = range(1, max_distance + 1)
    for distance in distances:
        same = users[distance:] == users[:-distance]
        pairs = items[:-distance][same], items[distance:][same]
        np.add.at(table, pairs, distance**-power)
    if max_distance > 1:
        rows, columns = (np.sqrt(np.maximum(table.sum(axis), 1)) for axis in (1, 0))
        table = table / rows[:, None] / columns
    from_end = np.searchsorted(users, users, "right") - np.arange(len(users))
    scores = np.zeros(shape)
    for distance in distances:
        rows = np.flatnonzero(from_end == distance)
        scores[users[rows]] += table[items[rows]] * distance**-power
    return scores


def main() -> None:
    """Count, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["markov", "transitions"])
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="has no effect")
    options = parser.parse_args()
    train, test = read(options.train), read(options.test)
    start = time.perf_counter()
    user_of, item_of = (
        {name: k for k, name in enumerate(sorted({row[side] for row in train}))} for side in (0, 1)
    )
    users, items = (
        np.array([index[row[side]] for row in train])
        for side, index in enumerate((user_of, item_of))
    )
    order = np.lexsort((np.array([row[2] for row in train]), users))
    users, items, shape = users[order], items[order], (len(user_of), len(item_of))
    how = (1, 1.0) if options.name == "markov" else (MAX_DISTANCE, POWER)
    scores = scores_by_transitions(users, items, shape, *how)
    scores += 1e-9 * np.bincount(items)
    scores[users, items] = -np.inf
    seconds = time.perf_counter() - start
    targets = np.array([(user_of[user], item_of.get(item, -1)) for user, item, _ in test])
    own = np.where(targets[:, 1] < 0, -np.inf, scores[targets[:, 0], targets[:, 1]])
    ranks = (scores[targets[:, 0]] > own[:, None]).sum(1)
    gains = 1 / np.log2(2 + ranks)
    print(
        json.dumps(
            {f"recall_at_{k}": float(np.mean(ranks < k)) for k in LIST_LENGTHS}
            | {f"ndcg_at_{k}": float(np.mean(gains * (ranks < k))) for k in LIST_LENGTHS}
            | {"seconds": seconds}
        )
    )


if __name__ == "__main__":
    main()
