"""Measure a step of each optimizer relative to Adam's, and the time of least-squares solvers.

    python benchmarks/optimizers.py

A few minutes on two cores; run nothing else at the same time.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import protocol
from protocol import Program, Run, Table

COST = Program("a step", ("benchmarks/recipes/step_cost.py",))
SQUARES = Program("least squares", ("benchmarks/recipes/least_squares.py",))
PROBLEMS = {"valley": "Rosenbrock's valley, 10 dimensions", "sinc": "sinc by 15 hidden units"}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Runs of each program.")
    parser.add_argument("--results", nargs="*", choices=RESULTS, default=list(RESULTS))
    options = parser.parse_args()
    for name in options.results:
        program, title, clock, table = RESULTS[name]
        with tempfile.TemporaryDirectory() as directory:
            runs = protocol.in_turn([program], options.repeats, Path(directory))
        conditions = protocol.block([program], options.repeats, clock=clock)
        protocol.write(name, title, conditions, runs, table(runs))


def _cost_table(runs: Sequence[Run]) -> Table:
    """Return the costs of the optimizers, the cheapest first."""
    costs = {name: [run.answer[name] for run in runs] for name in runs[0].answer}
    names = sorted(costs, key=lambda name: statistics.median(costs[name]))
    rows = [[name, protocol.spread(costs[name]).text(2)] for name in names]
    return Table(["optimizer", "times Adam's step"], rows)


def _squares_table(runs: Sequence[Run]) -> Table:
    rows = []
    for problem, title in PROBLEMS.items():
        for name in runs[0].answer[problem]:
            reached = [run.answer[problem][name] for run in runs]
            reached = [solution for solution in reached if solution["seconds"] is not None]
            cells = [title, name, f"{len(reached)} of {len(runs)}", "", ""]
            if reached:
                cells[3] = protocol.spread([solution["iterations"] for solution in reached]).text(0)
                cells[4] = protocol.spread(
                    [1000 * solution["seconds"] for solution in reached]
                ).text(0)
            rows.append(cells)
    return Table(["problem", "by", "reached", "iterations", "milliseconds"], rows)


RESULTS = {
    "optimizer_steps": (
        COST,
        "A step on 200 small variables, as a multiple of Adam's",
        "of 10 steps, in turn, 7 times a run; the median of three Adams",
        _cost_table,
    ),
    "least_squares": (
        SQUARES,
        "Least squares: solvers to an error of 1e-8, Adam to 1e-3",
        "from the first iteration, compiled before",
        _squares_table,
    ),
}

if __name__ == "__main__":
    main()
