"""Compare reading a CSV file to splits with pyarrow's own reading of the file.

    python benchmarks/reading.py

Half a minute. A process reads 1,000,000 rows of 11 columns in turn by pyarrow, which infers the
types, and from the address to the splits: encoding, separator and broken lines are checked,
types inferred, rows hashed and split.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

COLUMNS = {
    "pyarrow_cpu": ("pyarrow, CPU s", 2),
    "splits_cpu": ("splits, CPU s", 2),
    "cpu_ratio": ("ratio", 1),
    "pyarrow_seconds": ("pyarrow, s", 2),
    "splits_seconds": ("splits, s", 2),
    "clock_ratio": ("ratio", 1),
}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    arguments = ("benchmarks/recipes/reading.py", "--rows", str(options.rows))
    program = Program(f"{options.rows:,} rows of 11 columns", arguments)
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn([program], options.repeats, Path(directory))
    numbers = [
        protocol.spread(protocol.values(runs, program, name)).text(digits)
        for name, (_, digits) in COLUMNS.items()
    ]
    header = ["data", *(title for title, _ in COLUMNS.values())]
    conditions = protocol.block([program], options.repeats)
    title = "Reading a CSV file, by pyarrow and to the splits"
    protocol.write("reading", title, conditions, runs, Table(header, [[program.name, *numbers]]))


if __name__ == "__main__":
    main()
