"""Measure diverse lists of a run, and lists for its users as if only liked items were known.

    python benchmarks/requested_lists.py RUN

RUN is of the recommender. The test pairs do not count as interactions here, unlike in an export; a
test item is relevant if its rating is at least the mean of the training ratings. The figures of
docs/recommender.md are of a run with `--split random` of the training part of the first official
fold of MovieLens 100K, so that no pair of its test part is read.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
LENGTH, USERS_PER_REQUEST = 10, 100
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
NUMS_LIKED = (5, 10, 1000)  # best rated items of each user


class Case(NamedTuple):
    """A user: the interactions of training, the best rated first, and the relevant test items."""

    user: bytes
    rated: list[bytes]
    relevant: set[bytes]


def main() -> None:
    """Print a line for each kind of list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the directory of a run")
    run_path = parser.parse_args().run
    from training import startup

    startup.start_tensorflow()
    from training.run import Run

    for name, ndcg, similarity in measure(Run.load(run_path)):
        print(f"{name:20} NDCG@10 {ndcg:.4f}, mean similarity within a list {similarity:.3f}")


def measure(run: Any) -> Iterator[tuple[str, float, float]]:
    """Yield the name of each kind of list, its NDCG and the mean similarity within a list."""
    from inference.modalities.item_scores import ids_of
    from inference.modalities.item_similarity import item_vectors

    ids, vectors = ids_of(run.model), item_vectors(run.model)
    if vectors is None:
        sys.exit("This run recommends the same items to all users; expected another run.")
    histories_of = ids.histories_of

    def without_test(users: Any, *, in_test: bool) -> Any:  # noqa: ARG001
        return histories_of(users, in_test=False)

    object.__setattr__(ids, "histories_of", without_test)
    places = {name.encode(): place for place, name in enumerate(ids.items)}
    cases = cases_of(run.splits)
    for weight in WEIGHTS:
        lists = lists_of(run.model, vectors, cases, diversity=weight)
        yield f"diversity {weight}", *quality(lists, cases, vectors, places)
    for count in NUMS_LIKED:
        lists = lists_of(run.model, vectors, cases, num_liked=count)
        yield f"up to {count} liked", *quality(lists, cases, vectors, places)


def cases_of(splits: Any) -> list[Case]:
    """Return the users with a relevant test item and an interaction."""
    (pairs, ratings), (test, test_ratings) = (part.numpy() for part in (splits.train, splits.test))
    relevant: dict[bytes, set[bytes]] = {}
    for user, item, rating in zip(test["user"], test["item"], test_ratings, strict=True):
        if rating >= ratings.mean(dtype="float64") - 1e-6:
            relevant.setdefault(user, set()).add(item)
    rated: dict[bytes, list[bytes]] = {}
    for row in np.argsort(-ratings, kind="stable"):
        rated.setdefault(pairs["user"][row], []).append(pairs["item"][row])
    return [Case(user, rated[user], relevant[user]) for user in sorted(relevant) if user in rated]


def lists_of(
    model: Any, vectors: Any, cases: list[Case], *, diversity: float = 0.0, num_liked: int = 0
) -> list[list[bytes]]:
    """Return a list for each user, by the user or by the best rated items."""
    import tensorflow as tf

    from inference.modalities.requested_lists import ListRequest, recommend_with
    from inference.modalities.requested_signature import DEFAULTS

    lists = []
    for start in range(0, len(cases), USERS_PER_REQUEST):
        some = cases[start : start + USERS_PER_REQUEST]
        liked = [case.rated[:num_liked] for case in some]
        width = max(1, *map(len, liked))
        request = DEFAULTS._replace(
            user=[case.user for case in some],
            liked=[items + [b""] * (width - len(items)) for items in liked],
            diversity=diversity,
        )
        outputs = recommend_with(model, vectors, ListRequest(*map(tf.constant, request)))
        lists += [[item for item in row if item] for row in outputs["items"].numpy().tolist()]
    return lists


def quality(
    lists: list[list[bytes]], cases: list[Case], vectors: np.ndarray, places: dict[bytes, int]
) -> tuple[float, float]:
    """Return the mean NDCG, and the mean similarity of two items of a list."""
    discounts = 1 / np.log2(2 + np.arange(LENGTH))
    ndcg, similarities = [], []
    for items, case in zip(lists, cases, strict=True):
        hits = np.isin(items, list(case.relevant))
        ideal = discounts[: len(case.relevant)].sum()
        ndcg.append((hits * discounts[: len(items)]).sum() / ideal)
        rows = vectors[[places[item] for item in items]]
        similarities.append((rows @ rows.T)[np.triu_indices(len(rows), 1)].mean())
    return float(np.mean(ndcg)), float(np.mean(similarities))


if __name__ == "__main__":
    main()
