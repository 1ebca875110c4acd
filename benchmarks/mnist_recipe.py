"""Compare the MNIST example of keras.io with `athanor mnist train`, as whole processes.

    python benchmarks/mnist_recipe.py

About a quarter of an hour on two cores. It shows how long a user waits from the command to the
test accuracy: start, reading, training and evaluation. The example trains its network for 15
epochs, athanor its own network for `--epochs` epochs.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

RECIPE = Program("keras.io mnist_convnet, 15 epochs", ("benchmarks/recipes/mnist_convnet.py",))


def athanor(epochs: int) -> Program:
    """Return the command line, for a number of epochs."""
    words = f"-m athanor mnist train --data tfds:mnist --epochs {epochs} --json".split()
    name = f"athanor mnist, {epochs} epoch{'s' if epochs > 1 else ''}"
    return Program(name, tuple(words), _scores)


def main() -> None:
    """Measure, print and store the results."""
    options = _options()
    protocol.require_mnist()
    programs = (RECIPE, athanor(options.epochs))
    conditions = protocol.block(
        programs,
        options.repeats,
        epochs={RECIPE.name: 15, programs[1].name: options.epochs},
        clock="wall time of whole processes, from outside",
        before="each program once with one epoch, not counted",
    )
    with tempfile.TemporaryDirectory() as directory:
        # So that files and byte-code are cached, and the fast precision is known, for both.
        for program in (Program("warm-up", (*RECIPE.arguments, "--epochs", "1")), athanor(1)):
            protocol.run(program, 0, Path(directory))
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    protocol.write(
        "mnist_recipe",
        "MNIST, from the command to the test accuracy",
        conditions,
        runs,
        _table(programs, runs),
        summary=_summary(programs, runs),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Runs of each program.")
    parser.add_argument("--epochs", type=int, default=1, help="Epochs of athanor's run.")
    return parser.parse_args()


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    return {"accuracy": result["test"]["accuracy"], "train_seconds": result["seconds"]["train"]}


def _faster(programs: Sequence[Program], runs: Sequence[Run]) -> list[float]:
    return protocol.ratios(*(protocol.values(runs, program, "seconds") for program in programs))


def _table(programs: Sequence[Program], runs: Sequence[Run]) -> Table:
    faster = protocol.spread(_faster(programs, runs)).text(1)
    rows = []
    for program, ratio in zip(programs, ("1", faster), strict=True):
        accuracy = statistics.mean(protocol.values(runs, program, "accuracy"))
        seconds = protocol.spread(protocol.values(runs, program, "seconds")).text(1)
        rows.append([program.name, seconds, ratio, f"{100 * accuracy:.2f} %"])
    return Table(["program", "seconds", "times as fast", "test accuracy"], rows)


def _summary(programs: Sequence[Program], runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "seconds": {
            program.name: protocol.spread(protocol.values(runs, program, "seconds"))._asdict()
            for program in programs
        },
        "ratio": protocol.spread(_faster(programs, runs))._asdict(),
        "mean_accuracy": {
            program.name: statistics.mean(protocol.values(runs, program, "accuracy"))
            for program in programs
        },
    }


if __name__ == "__main__":
    main()
