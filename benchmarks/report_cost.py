"""Measure the seconds and the memory of a report: MNIST with its baselines, and a large table.

    python benchmarks/report_cost.py

Five minutes on two cores. A run is trained first; then another process evaluates it and writes its
report. The table has no baselines, whose time is their own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUM_COLUMNS = 10


def main() -> None:
    """Train and measure both runs, and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--skip-mnist", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if not options.skip_mnist:
            measure("MNIST", "mnist", place / "mnist", {"data": "tfds:mnist"}, "--baselines")
        write_table(place / "rows.feather", options.rows)
        for target, other in (("number", "class"), ("class", "number")):
            fields = {"data": str(place / "rows.feather"), "target": target, "drop": other}
            name = f"{options.rows:,} rows, {target}"
            measure(name, "regression", place / target, fields | {"model": "linear"})


def measure(name: str, app: str, path: Path, fields: dict[str, str], *flags: str) -> None:
    """Train a run, evaluate it in a process of its own, and print what that measured."""
    recipe = [sys.executable, str(ROOT / "benchmarks" / "recipes" / "report_cost.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    train = [*recipe, "train", str(path), "--app", app]
    train += ["--fields", json.dumps(fields | {"epochs": 1})]
    subprocess.run(train, check=True, stdout=subprocess.DEVNULL, env=environment)
    evaluate = [*recipe, "evaluate", str(path), *flags]
    done = subprocess.run(evaluate, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    print(name, done.stdout.splitlines()[-1], flush=True)


def write_table(path: Path, num_rows: int) -> None:
    """Write a table with a noisy linear target and a class."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import feather

    random = np.random.default_rng(0)
    columns = random.normal(size=(NUM_COLUMNS, num_rows)).astype("float32")
    number = columns.sum(0) + random.normal(size=num_rows)
    table = {f"x{k}": column for k, column in enumerate(columns)}
    table |= {"number": number, "class": np.where(number > 0, "high", "low")}
    feather.write_feather(pa.table(table), path)


if __name__ == "__main__":
    main()
