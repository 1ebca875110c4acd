"""Predict the last film of each user of MovieLens 100K, beside models with and without order.

    python benchmarks/sequences.py

Takes some ten minutes. The test pairs are the newest of each user, the training pairs are all
others, and no ratings are used: the usual protocol of the next item. Each program ranks all films
without a training pair of the user, none sampled, so that Recall@10 is the hit ratio HR@10. The
result replaces benchmarks/results/sequences.json.
"""

import argparse
import csv
import gzip
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import ROOT, Program, Run, Table

RATINGS = ROOT.parent / "shared" / "data" / "movielens_100k" / "u.data.gz"
COLUMNS = ("user_id", "item_id", "timestamp")
METRICS = {
    "recall_at_10": "HR@10",
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "HR@20",
    "ndcg_at_20": "NDCG@20",
}
SEQUENCE, UNORDERED = "athanor recommender, --model sequence", "athanor recommender"
PEERS = {"markov": "Markov chain", "transitions": "transitions from the last 20"}
BASELINES = {"popularity": "popularity", "item_knn": "item-kNN, cosine", "ease": "EASE, l2 200"}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=Path, default=RATINGS, help="u.data.gz of the set.")
    parser.add_argument("--repeats", type=int, default=3, help="seeds of each program")
    options = parser.parse_args()
    if not options.ratings.is_file():
        raise SystemExit(
            f"Found no {options.ratings}; name u.data.gz of MovieLens 100K with --ratings."
        )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_splits(options.ratings, directory)
        compared = programs(directory)
        conditions = protocol.block(
            compared,
            options.repeats,
            judged="the newest pair of each user, once a run",
            clock="the fit alone, by the program's own clock; athanor's has validation in it",
        )
        runs = protocol.in_turn(compared, options.repeats, directory)
    title = "MovieLens 100K, the last film of each user among all"
    protocol.write("sequences", title, conditions, runs, _table(compared, runs))


def write_splits(ratings: Path, directory: Path) -> None:
    """Write test.csv with the newest row of each user, and train.csv with the others.

    Of rows of the same time the last one in the file is the newest.
    """
    lines = gzip.decompress(ratings.read_bytes()).decode().splitlines()
    rows = [(user, item, time) for user, item, _, time in (line.split("\t") for line in lines)]
    newest: dict[str, tuple[int, int]] = {}
    for number, (user, _, time) in enumerate(rows):
        newest[user] = max(newest.get(user, (0, 0)), (int(time), number))
    test = {number for _, number in newest.values()}
    for name, is_test in (("train", False), ("test", True)):
        part = [row for number, row in enumerate(rows) if (number in test) == is_test]
        with (directory / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *part])


def programs(directory: Path) -> list[Program]:
    """Return the programs; all read the same files."""
    train, test = (str(directory / f"{name}.csv") for name in ("train", "test"))
    flags = f"--data csv:{train} --test csv:{test} --split user_time --json"
    recipe = "benchmarks/recipes/sequence_peers.py"
    return [
        Program(name, tuple(f"-m athanor recommender train {flags} {more}".split()), _scores)
        for name, more in ((SEQUENCE, "--model sequence"), (UNORDERED, ""))
    ] + [Program(name, (recipe, key, train, test)) for key, name in PEERS.items()]


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    baselines = {
        f"{baseline}_{name}": value
        for baseline, row in result["baselines"].items()
        for name, value in row.items()
    }
    return {**result["test"], "seconds": result["seconds"]["train"], **baselines}


def _table(compared: Sequence[Program], runs: Sequence[Run]) -> Table:
    rows = []
    for program in compared:
        answers = [run.answer for run in runs if run.program == program.name]
        hits = protocol.spread([answer["recall_at_10"] for answer in answers])
        seeds = "" if hits.least == hits.most else f"{hits.least:.3f} to {hits.most:.3f}"
        seconds = protocol.spread([answer["seconds"] for answer in answers]).text(1)
        rows.append([program.name, *_cells(answers, ""), seeds, seconds])
    answers = [run.answer for run in runs if run.program == UNORDERED]
    rows += [[title, *_cells(answers, f"{name}_"), "", ""] for name, title in BASELINES.items()]
    return Table(["program", *METRICS.values(), "HR@10 of seeds", "seconds of fit"], rows)


def _cells(answers: Sequence[dict[str, Any]], prefix: str) -> list[str]:
    means = (statistics.mean(answer[f"{prefix}{name}"] for answer in answers) for name in METRICS)
    return [f"{mean:.4f}" for mean in means]


if __name__ == "__main__":
    main()
