"""Measure the test accuracy of the default flags on real data, with the baselines.

    python benchmarks/accuracy.py

About five minutes on two cores. Every run is `athanor APP train` with default flags except
for the data and the seed; it reads the test examples once.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program

TRAININGS = (("mnist", "tfds:mnist"), ("mnist", "tfds:fashion_mnist"))


def training(app: str, data: str) -> Program:
    """Return an app on a set, with default flags."""
    words = ("-m", "athanor", app, "train", "--data", data, "--json")
    return Program(f"{app} --data {data}", words, _scores)


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    repeats = parser.parse_args().repeats
    protocol.require_mnist()
    programs = [training(app, data) for app, data in TRAININGS]
    conditions = protocol.block(
        programs,
        repeats,
        judged="test examples, once a run; the epoch is chosen on validation examples",
    )
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, repeats, Path(directory))
    protocol.write(
        "accuracy",
        "Test accuracy with default flags",
        conditions,
        runs,
        protocol.accuracies(
            programs, runs, softmax_regression="softmax regression", majority="majority"
        ),
    )


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    baselines = {name: row["accuracy"] for name, row in result["baselines"].items()}
    return {"accuracy": result["test"]["accuracy"], **baselines}


if __name__ == "__main__":
    main()
