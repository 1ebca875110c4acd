"""Cost of checkpoints during training, and the time to resume from one.

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
    """A training of each app."""
    recipe = "benchmarks/recipes/checkpoints.py"
    made = []
    for name in APPS:
        app, _, data = name.partition(" ")
        flags = ("--data", data, "--epochs", "2") if data else ()
        made.append(Program(name, (recipe, "--app", app, *flags)))
    return made


def main() -> None:
    """Train, count, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    protocol.require_mnist()
    runs = []
    with tempfile.TemporaryDirectory() as place:
        for seed in range(given.repeats):
            runs += [protocol.run(program, seed, Path(place)) for program in programs()]
    rows = []
    for name in APPS:
        answers = [run.answer for run in runs if run.program == name]

        def spread(key: str, found: list[dict] = answers) -> Spread:
            values = [one[key] for one in found]
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
    conditions = protocol.block(programs(), given.repeats)
    title = "Checkpoints with default flags: what they cost, and going on from one"
    protocol.write("checkpoints", title, conditions, runs, Table(header, rows))
    print(json.dumps({"rows": len(rows)}), file=sys.stderr)


if __name__ == "__main__":
    main()
