"""Measure the cost of `train --deterministic`: the same training with and without it.

    python benchmarks/determinism.py

About four minutes on two cores; needs the prepared MNIST.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

TRAININGS = {
    "mnist": ("mnist", "train", "--data", "tfds:mnist", "--epochs", "1", "--precision", "float32"),
    "text": ("text", "train", "--epochs", "2"),
}
SECONDS = "seconds of training"


def read_scores(result: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds and test scores of a training's JSON."""
    return {SECONDS: result["seconds"]["train"], **result["test"]}


def main() -> None:
    """Train in turn, compare each pair, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    protocol.require_mnist()
    runs: list[Run] = []
    rows, programs = [], []
    with tempfile.TemporaryDirectory() as directory:
        for name, words in TRAININGS.items():
            default = Program(name, ("-m", "athanor", *words, "--json"), read_scores)
            flags = (*default.arguments, "--deterministic")
            pair = [default, Program(f"{name}, deterministic", flags, read_scores)]
            pair_runs = protocol.in_turn(pair, options.repeats, Path(directory))
            seconds = [protocol.values(pair_runs, program, SECONDS) for program in pair]
            same = all(
                first.answer | {SECONDS: 0} == second.answer | {SECONDS: 0}
                for first, second in zip(pair_runs[::2], pair_runs[1::2], strict=True)
            )
            ratio = protocol.spread(protocol.ratios(*reversed(seconds))).text(2)
            cells = [protocol.spread(numbers).text(1) for numbers in seconds]
            rows.append([name, *cells, ratio, "yes" if same else "no"])
            runs += pair_runs
            programs += pair
    header = ["training", "seconds", "deterministic", "times as long", "same scores"]
    conditions = protocol.block(programs, options.repeats)
    title = "`train --deterministic` and plain `train`, on a CPU"
    protocol.write("determinism", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
