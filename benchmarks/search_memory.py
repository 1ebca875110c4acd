"""Measure the memory that two hundred trials in one process leave, ours and KerasTuner's.

    python benchmarks/search_memory.py

Half an hour on one core. Memory is measured for the whole process, after the twenty-first trial
and after the last one; see recipes/search_memory.py for what a trial does.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/search_memory.py"


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    programs = [
        Program(name, (RECIPE, "--by", searcher, "--trials", str(options.trials)))
        for name, searcher in (("athanor tune", "athanor"), ("KerasTuner alone", "kerastuner"))
    ]
    conditions = protocol.block(programs, options.repeats)
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    digits = {"growth": 2, "first": 0, "last": 0, "each": 1}
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
    header = [
        "program",
        "MB a trial",
        "MB after 21",
        f"MB after {options.trials}",
        "seconds a trial",
    ]
    title = f"Memory over {options.trials} tiny trials in one process"
    protocol.write("search_memory", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
