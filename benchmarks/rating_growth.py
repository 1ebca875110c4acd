"""Measure the time and the memory of the recommender on up to 20 million simulated ratings.

    python benchmarks/rating_growth.py

About an hour on two cores. Every run has default flags; it reads, trains, and scores the test pairs
and lists with all baselines.
"""

import argparse
import tempfile
from pathlib import Path

import protocol
from protocol import Program, Table

RECIPE = "benchmarks/recipes/rating_growth.py"
PHASES = ("reading", "lists", "ratings", "scores")


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--counts", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000, 20_000_000]
    )
    options = parser.parse_args()
    programs = [Program(f"{count:,}", (RECIPE, str(count))) for count in options.counts]
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, 1, Path(directory))
    rows = []
    for run in runs:
        answer = run.answer
        phases = [f"{answer[f'{name}_cpu_seconds']:,.0f}" for name in PHASES]
        total, peak = f"{answer['cpu_seconds']:,.0f}", f"{answer['megabytes'] / 1e3:,.1f}"
        scores = [f"{answer['rmse']:.4f}", f"{answer['ndcg_at_10']:.4f}"]
        rows.append([run.program, *phases, total, f"{answer['epochs']}", peak, *scores])
    header = ["ratings", *(f"CPU s, {name}" for name in PHASES)]
    header += ["CPU s, all", "epochs", "peak GB", "RMSE", "NDCG@10"]
    title = "Time and memory of the recommender by the number of ratings"
    protocol.write("rating_growth", title, protocol.block(programs, 1), runs, Table(header, rows))


if __name__ == "__main__":
    main()
