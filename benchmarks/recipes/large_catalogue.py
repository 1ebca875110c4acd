"""Train lists of a large catalogue, export them, and time the export; print the figures.

    python benchmarks/recipes/large_catalogue.py 1_000_000 --seed 0

There are ten ratings for each item, simulated by large_ratings.py in the working directory. The
run is not scored. The export is loaded as the server loads it, in a process of its own, and each
request asks for the 20 best items of one user, without those that the user has rated. Recall is
the share of the 20 items with the highest of all scores, computed by NumPy.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import large_ratings
import numpy as np
from large_ratings import NUM_RATINGS, NUM_USERS

RATINGS_PER_ITEM = 10
NUM_REQUESTS, NUM_WARM_UP = 300, 20
LIST_LENGTH = 20
MEASURE = "--measure"


def fit(path: Path, run: Path, seed: int) -> dict[str, float]:
    """Train and export; return seconds, memory and size."""
    from apps import Recommender
    from exporting.export import export
    from training.train import train

    start = used_seconds()
    app = Recommender(data=str(path), model="retrieval", seed=seed)
    trained = train(app, run_dir=run, verbose=0)
    fitted = used_seconds()
    export(trained)
    files = [file for file in (run / "export" / "1").rglob("*") if file.is_file()]
    return {
        "train_cpu_seconds": round(fitted - start, 1),
        "export_cpu_seconds": round(used_seconds() - fitted, 1),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
        "model_megabytes": round((run / "model.keras").stat().st_size / 1e6),
        "export_megabytes": round(sum(file.stat().st_size for file in files) / 1e6),
    }


def used_seconds() -> float:
    """Return the processor seconds of this process and of those that it started."""
    times = os.times()
    return sum(times[:4])


def measure(run: Path, users: list[bytes]) -> dict[str, float]:
    """Load the export; return the times of requests, memory and recall."""
    from inference.servable import Servable

    start = time.perf_counter()
    servable = Servable(run / "export" / "1", 1)
    loaded = time.perf_counter() - start
    seconds, found = [], []
    for user in users:
        inputs = {
            "user": np.array([user], object),
            "k": np.int32(LIST_LENGTH),
            "exclude_seen": np.bool_(True),
        }
        start = time.perf_counter()
        outputs = servable.run_within(servable.signature("recommend"), inputs, 1e6)
        seconds.append(time.perf_counter() - start)
        found.append({*outputs["items"][0]})
    used = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    sought, of_all = best_of_all(run, users)
    times = np.array(seconds[NUM_WARM_UP:]) * 1e3
    return {
        "load_seconds": round(loaded, 2),
        "server_megabytes": round(used / 1e6),
        "p50_ms": round(float(np.percentile(times, 50)), 2),
        "p95_ms": round(float(np.percentile(times, 95)), 2),
        "all_scores_p50_ms": round(of_all * 1e3, 1),
        "recall": sum(len(a & b) for a, b in zip(sought, found, strict=True))
        / (LIST_LENGTH * len(users)),
    }


def best_of_all(run: Path, users: list[bytes]) -> tuple[list[set[bytes]], float]:
    """Return the best items of each user by all scores, and the median seconds."""
    import tensorflow as tf

    from apps.recommender.dot_product import FactorDotProduct
    from inference.modalities.item_scores import ids_of, list_scorer_of
    from training.run import Run

    model = Run.load(run).model
    ids, layer = ids_of(model), list_scorer_of(model)
    assert isinstance(layer, FactorDotProduct)
    user_table, item_table = (table.numpy() for table in layer.score_tables)
    numbers = ids.user_numbers.lookup(tf.constant(users)).numpy()
    seen = ids.interactions_of(tf.constant(users), in_test=True).numpy()
    found, seconds = [], []
    for row, number in enumerate(numbers):
        left_out = seen[seen[:, 0] == row, 1]
        start = time.perf_counter()
        scores = item_table[1:] @ user_table[number]
        scores[left_out] = -np.inf
        best = np.argpartition(-scores, LIST_LENGTH)[:LIST_LENGTH]
        seconds.append(time.perf_counter() - start)
        found.append({ids.items[index].encode() for index in best})
    return found, float(np.median(seconds))


def drawn_users(num_items: int) -> list[bytes]:
    """Return users of the simulated ratings; few of them are unknown to training."""
    num_users = round(NUM_USERS * RATINGS_PER_ITEM * num_items / NUM_RATINGS)
    numbers = np.random.default_rng(0).integers(1, num_users + 1, NUM_WARM_UP + NUM_REQUESTS)
    return [b"%d" % number for number in numbers]


def main() -> None:
    """Simulate, train, measure in another process, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", type=int, help="Number of items.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(MEASURE, type=Path, help="Only measure the export of this run.")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, drawn_users(options.items))))
        return
    path, run = Path(f"ratings-{options.items}.csv"), Path(f"run-{options.items}")
    large_ratings.write(path, RATINGS_PER_ITEM * options.items, options.items)
    figures = fit(path, run, options.seed)
    command = [sys.executable, __file__, str(options.items), MEASURE, str(run)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(json.dumps(figures | json.loads(output.splitlines()[-1])))


if __name__ == "__main__":
    main()
