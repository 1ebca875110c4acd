"""Cost of `train --deterministic` on this machine: the same training with and without it.

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


def read(said: dict[str, Any]) -> dict[str, Any]:
    """What matters of a training's JSON."""
    return {"seconds of training": said["seconds"]["train"], **said["test"]}


def main() -> None:
    """Train in turn, compare pair by pair, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    protocol.require_mnist()
    runs: list[Run] = []
    rows, programs = [], []
    with tempfile.TemporaryDirectory() as directory:
        for name, words in TRAININGS.items():
            usual = Program(name, ("-m", "athanor", *words, "--json"), read)
            other = Program(f"{name}, deterministic", (*usual.arguments, "--deterministic"), read)
            found = protocol.in_turn([usual, other], given.repeats, Path(directory))
            seconds = [protocol.values(found, one, "seconds of training") for one in (other, usual)]
            same = all(
                one.answer | {"seconds of training": 0} == two.answer | {"seconds of training": 0}
                for one, two in zip(found[::2], found[1::2], strict=True)
            )
            times = protocol.spread(protocol.ratios(*seconds)).text(2)
            both = [protocol.spread(one).text(1) for one in reversed(seconds)]
            rows.append([name, *both, times, "yes" if same else "no"])
            runs += found
            programs += [usual, other]
    header = ["training", "seconds", "deterministic", "times as long", "same scores"]
    conditions = protocol.block(programs, given.repeats)
    title = "`train --deterministic` beside the usual, on a CPU"
    protocol.write("determinism", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
