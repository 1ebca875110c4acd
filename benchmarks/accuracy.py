"""What the default flags reach on real data, beside the baselines.

    python benchmarks/accuracy.py

About five minutes on two cores. Every run is `athanor APP train` with default
flags but for the data and the seed; the test examples are read once a run.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

TRAINED = (("mnist", "tfds:mnist"), ("mnist", "tfds:fashion_mnist"))


def trained(app: str, data: str) -> Program:
    """An app on a set, with default flags."""
    words = ("-m", "athanor", app, "train", "--data", data, "--json")
    return Program(f"{app} --data {data}", words, _answer)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    repeats = parser.parse_args().repeats
    protocol.require_mnist()
    programs = [trained(app, data) for app, data in TRAINED]
    conditions = protocol.block(
        programs,
        repeats,
        judged="test examples, once a run; the epoch is chosen on validation examples",
    )
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, repeats, Path(directory))
    protocol.write(
        "accuracy", "Test accuracy with default flags", conditions, runs, _table(programs, runs)
    )


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    baselines = {name: row["accuracy"] for name, row in said["baselines"].items()}
    return {"accuracy": said["test"]["accuracy"], **baselines}


def _table(programs: Sequence[Program], runs: Sequence[Run]) -> Table:
    rows = []
    for program in programs:
        means = [
            f"{100 * statistics.mean(protocol.values(runs, program, name)):.2f} %"
            for name in ("accuracy", "softmax_regression", "majority")
        ]
        found = protocol.spread(protocol.values(runs, program, "accuracy"))
        ends = f"{100 * found.least:.2f} to {100 * found.most:.2f}"
        rows.append([program.name, means[0], ends, *means[1:]])
    header = ["run", "mean", "seeds", "softmax regression", "majority"]
    return Table(header, rows)


if __name__ == "__main__":
    main()
