"""Measure time and memory of check-data for a million rows, texts or ratings, or 100,000 images.

    python benchmarks/check_data.py

Generating the data is not counted. Memory is the peak of the whole process, TensorFlow's own half
gigabyte included; see recipes/check_data.py for the generated data.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/check_data.py"
KINDS = {
    "row": ("1,000,000 rows of 10 columns", 1_000_000),
    "text": ("1,000,000 texts of 8 to 30 words", 1_000_000),
    "ids": ("1,000,000 ratings", 1_000_000),
    "image": ("100,000 images of 128 x 128", 100_000),
}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    programs = [
        Program(name, (RECIPE, "--kind", kind, "--count", str(count)))
        for kind, (name, count) in KINDS.items()
        if kind in options.kinds
    ]
    conditions = protocol.block(programs, options.repeats)
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    digits = {"seconds_checked": 0, "seconds_cpu": 0, "megabytes": 0}
    rows = [
        [
            program.name,
            *(
                protocol.spread(protocol.values(runs, program, name)).text(num_digits)
                for name, num_digits in digits.items()
            ),
        ]
        for program in programs
    ]
    header = ["data", "seconds", "seconds of CPU", "MB at the peak"]
    protocol.write("check_data", "athanor APP check-data", conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
