"""Write a CSV file, and read it in turn by pyarrow and from its address to the splits.

python benchmarks/recipes/reading.py --rows 1000000 --readings 9 --seed 0
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

ROOT = Path(__file__).resolve().parents[2]
FILE = "rows.csv"
ROWS_PER_BLOCK = 1_000_000


def rows(count: int, random: np.random.Generator) -> pa.Table:
    """Return rows of five decimal numbers, three integers, two categories and a target."""
    x = random.normal(size=(count, 5))
    north, regions = random.random(count) < 0.2, ["north", "south", "east", "west", "centre"]
    columns = {
        "length": (20 + 5 * x[:, 0]).round(2),
        "width": (10 + 2 * x[:, 1]).round(1),
        "price": np.exp(x[:, 2] + 6).round(2),
        "score": x[:, 3].round(4),
        "load": (x[:, 4] / 100).round(5),
        "rooms": random.integers(1, 12, count),
        "age": random.integers(0, 100, count),
        "zip": random.integers(10_000, 99_999, count),
        "region": np.where(north, "north", np.array(regions)[random.integers(1, 5, count)]),
        "kind": np.array([f"kind {number}" for number in range(30)])[random.integers(0, 30, count)],
        "target": (3 * x[:, 0] + x[:, 1] ** 2 + 2 * north + random.normal(size=count)).round(3),
    }
    return pa.table(columns)


def write(path: Path, count: int, seed: int) -> None:
    """Write a CSV file whose texts have no quotes."""
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, count, ROWS_PER_BLOCK):
            options = csv.WriteOptions(include_header=not start, quoting_style="none")
            csv.write_csv(rows(min(ROWS_PER_BLOCK, count - start), random), file, options)


def timed(read: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of all cores, and those of the clock, that a function takes."""
    clock, cores = time.perf_counter(), time.process_time()
    read()
    return time.process_time() - cores, time.perf_counter() - clock


def main() -> None:
    """Read the file in turn, the first time uncounted, and print the median seconds and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--readings", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from apps.regression.app import Regression
    from pipelines.tables import text_files

    write(Path(FILE), options.rows, options.seed)
    app = Regression(data=f"csv:{FILE}")

    def read_splits() -> None:
        text_files._encodings.clear()  # as in a new process
        app.load_splits()

    with contextlib.redirect_stdout(sys.stderr):
        pairs = [
            (timed(lambda: csv.read_csv(FILE)), timed(read_splits))
            for _ in range(options.readings + 1)
        ]
    arrow, splits = np.array(pairs[1:]).transpose(1, 2, 0)
    answer = {
        "pyarrow_cpu": statistics.median(arrow[0]),
        "splits_cpu": statistics.median(splits[0]),
        "cpu_ratio": statistics.median(splits[0] / arrow[0]),
        "pyarrow_seconds": statistics.median(arrow[1]),
        "splits_seconds": statistics.median(splits[1]),
        "clock_ratio": statistics.median(splits[1] / arrow[1]),
    }
    print(json.dumps({name: round(float(value), 3) for name, value in answer.items()}))


if __name__ == "__main__":
    main()
