"""Measure lists of large catalogues: time of a request, recall, and what training and export take.

    python benchmarks/large_catalogue.py

About half an hour on two cores.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/large_catalogue.py"
COLUMNS = {
    "p50_ms": ("p50 ms", 1),
    "p95_ms": ("p95 ms", 1),
    "recall": ("recall@20", 3),
    "all_scores_p50_ms": ("NumPy, all scores, p50 ms", 1),
    "train_cpu_seconds": ("CPU seconds of training", 0),
    "export_cpu_seconds": ("of export", 0),
    "peak_megabytes": ("peak MB", 0),
    "export_megabytes": ("MB of export", 0),
    "load_seconds": ("seconds to load", 1),
    "server_megabytes": ("MB of a server", 0),
}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--items", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    programs = [Program(f"{count:,}", (RECIPE, str(count))) for count in options.items]
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    rows = [
        [
            program.name,
            *(
                protocol.spread(protocol.values(runs, program, name)).text(digits)
                for name, (_, digits) in COLUMNS.items()
            ),
        ]
        for program in programs
    ]
    header = ["items", *(title for title, _ in COLUMNS.values())]
    title = "Lists of large catalogues: the 20 best items of a user"
    conditions = protocol.block(programs, options.repeats)
    protocol.write("large_catalogue", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
