"""What check-data takes for a million rows, texts or ratings, or a hundred thousand pictures.

    python benchmarks/check_data.py

Making the data is not counted. Memory is the peak of the whole process, TensorFlow's own half
gigabyte included; see recipes/check_data.py for what is made.
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
    "image": ("100,000 pictures of 128 x 128", 100_000),
}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    programs = [
        Program(name, (RECIPE, "--kind", kind, "--count", str(count)))
        for kind, (name, count) in KINDS.items()
        if kind in given.kinds
    ]
    conditions = protocol.block(programs, given.repeats)
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, given.repeats, Path(directory))
    digits = {"seconds_checked": 0, "seconds_cpu": 0, "megabytes": 0}
    rows = [
        [
            one.name,
            *(
                protocol.spread(protocol.values(runs, one, name)).text(places)
                for name, places in digits.items()
            ),
        ]
        for one in programs
    ]
    header = ["data", "seconds", "seconds of CPU", "MB at the peak"]
    protocol.write("check_data", "athanor APP check-data", conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
