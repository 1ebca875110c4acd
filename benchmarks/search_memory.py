"""What two hundred trials in one process leave in memory, ours and KerasTuner's.

    python benchmarks/search_memory.py

Half an hour on one core. Memory is that of the whole process after the twenty-first trial and
after the last one; see recipes/search_memory.py for what a trial does.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/search_memory.py"


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--trials", type=int, default=200)
    given = parser.parse_args()
    programs = [
        Program(name, (RECIPE, "--by", by, "--trials", str(given.trials)))
        for name, by in (("athanor tune", "athanor"), ("KerasTuner alone", "kerastuner"))
    ]
    conditions = protocol.block(programs, given.repeats)
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, given.repeats, Path(directory))
    digits = {"growth": 2, "first": 0, "last": 0, "each": 1}
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
    header = ["program", "MB a trial", "MB after 21", f"MB after {given.trials}", "seconds a trial"]
    title = f"Memory over {given.trials} tiny trials in one process"
    protocol.write("search_memory", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
