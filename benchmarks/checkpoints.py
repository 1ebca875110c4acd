"""Measure the cost of checkpoints during training, and the time to resume from one.

    python benchmarks/checkpoints.py

About ten minutes on two cores. Each app trains with default flags, the last two on data in
TFDS_DATA_DIR. The process measures the seconds of writing checkpoints and of the whole fit.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Spread, Table

APPS = ("regression", "mnist", "finetune", "text", "recommender", "mnist tfds:mnist")


def programs() -> list[Program]:
    """Return a training program for each app."""
    recipe = "benchmarks/recipes/checkpoints.py"
    trainings = []
    for name in APPS:
        app, _, data = name.partition(" ")
        flags = ("--data", data, "--epochs", "2") if data else ()
        trainings.append(Program(name, (recipe, "--app", app, *flags)))
    return trainings


def main() -> None:
    """Train, count, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    protocol.require_mnist()
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        for seed in range(options.repeats):
            runs += [protocol.run(program, seed, Path(directory)) for program in programs()]
    rows = []
    for name in APPS:
        answers = [run.answer for run in runs if run.program == name]

        def spread(key: str, rows_of_app: list[dict] = answers) -> Spread:
            values = [answer[key] for answer in rows_of_app]
            return Spread(statistics.median(values), min(values), max(values))

        rows.append(
            [
                name,
                spread("fit").text(1),
                spread("megabytes").text(2),
                spread("written").text(0),
                f"{spread('percent').text(2)} %",
                spread("restore").text(2),
            ]
        )
    header = [
        "app",
        "seconds of fit",
        "MB each",
        "checkpoints",
        "of the time",
        "seconds to restore",
    ]
    conditions = protocol.block(programs(), options.repeats)
    title = "Checkpoints with default flags: cost, and time to resume"
    protocol.write("checkpoints", title, conditions, runs, Table(header, rows))
    print(json.dumps({"rows": len(rows)}), file=sys.stderr)


if __name__ == "__main__":
    main()
