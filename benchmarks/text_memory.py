"""Measure the memory and the time of the text app on up to five million texts.

    python benchmarks/text_memory.py

About an hour on two cores. Every run has default flags except for the data and the model: it
reads, trains, and scores the test texts with all baselines.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/text_memory.py"
MODELS = ("ngrams", "blend")


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--counts", type=int, nargs="*", default=[250_000, 1_000_000, 5_000_000])
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    programs = {
        (count, model): Program(f"{count:,} texts, {model}", (RECIPE, str(count), "--model", model))
        for count in options.counts
        for model in options.models
    }
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn([*programs.values()], options.repeats, Path(directory))
    rows = []
    for (count, model), program in programs.items():
        peak, used, accuracy = (
            protocol.spread(protocol.values(runs, program, name))
            for name in ("megabytes", "cpu_seconds", "accuracy")
        )
        accuracies = f"{accuracy.median:.2%}"
        rows.append([f"{count:,}", f"`{model}`", peak.text(0), used.text(0), accuracies])
    header = ["texts", "model", "peak anonymous MB", "CPU seconds", "accuracy"]
    conditions = protocol.block([*programs.values()], options.repeats)
    title = "Memory and time of the text app by the number of texts"
    protocol.write("text_memory", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
