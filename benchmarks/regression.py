"""Compare `athanor regression` with default flags to gradient boosting and a linear model.

    python benchmarks/regression.py

About an hour on two cores. Each seed draws another fifth of the rows as test examples, which are
read once a run. LightGBM and CatBoost are measured if they are installed, by the extra `peers`.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import protocol
from protocol import Program, Run, Table

sys.path.append(str(protocol.HERE / "recipes"))
import boosted_peers

# Data sets, with the unit in which the root mean squared error is shown.
SETS = {"housing": 1e5, "diabetes": 1, "concrete": 1, "auto_mpg": 1, "wine": 1, "diamonds": 1}
# The timed set, and sets on which a network may be no better than a linear model.
RESULTS = {"regression": list(SETS)[:1], "regression_sets": list(SETS)[1:]}
TITLE = "Rows, {}: root mean squared error"


def program(name: str, data: str) -> Program:
    """Return one program on one set."""
    return Program(f"{name} on {data}", ("benchmarks/recipes/rows.py", name, data))


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    parser.add_argument("--results", nargs="*", choices=RESULTS, default=list(RESULTS))
    options = parser.parse_args()
    for result in options.results:
        measure(result, RESULTS[result], options.repeats)


def measure(result: str, sets: Sequence[str], repeats: int) -> None:
    """Run every program on every set, and store one result."""
    names = ["athanor", "boosting", *boosted_peers.installed()]
    programs = [program(name, data) for data in sets for name in names]
    conditions = protocol.block(
        programs,
        repeats,
        judged="a fifth of the rows, drawn with the seed, once a run; epochs are chosen on a "
        "tenth of the rest",
        missing=boosted_peers.missing(),
    )
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, repeats, Path(directory))
    table = _table(sets, names, runs)
    protocol.write(result, TITLE.format(", ".join(sets)), conditions, runs, table)


def _table(sets: Sequence[str], names: Sequence[str], runs: Sequence[Run]) -> Table:
    rows = []
    for data in sets:
        ours = program("athanor", data)

        def mean(name: str, peer: Program, scale: float = SETS[data]) -> str:
            return f"{statistics.mean(protocol.values(runs, peer, name)) / scale:.4f}"

        errors = [error / SETS[data] for error in protocol.values(runs, ours, "rmse")]
        peers = [mean("rmse", program(name, data)) for name in names[1:]]
        tests = protocol.values(runs, ours, "test")[0]
        seconds = protocol.spread(protocol.values(runs, ours, "seconds")).text(0)
        ends = f"{min(errors):.4f} to {max(errors):.4f}"
        cells = [f"{statistics.mean(errors):.4f}", ends, mean("linear", ours), *peers]
        rows.append([f"{data}, {tests:,.0f} test rows", *cells, seconds])
    header = ["data", "athanor", "seeds", "linear", *names[1:], "athanor's seconds"]
    return Table(header, rows)


if __name__ == "__main__":
    main()
