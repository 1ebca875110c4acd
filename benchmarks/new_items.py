"""Recommend films that nobody has rated, by their title, genres and tags: MovieLens, small, 2018.

    python benchmarks/new_items.py

A fifth of the films, by the hash of their id, is unknown to training; lists are of these films
alone. The content baseline sums the cosine similarities to the films of the user. Test pairs are
read once a run; half a minute a seed on two cores.
"""

import argparse
import csv
import gzip
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import ROOT, Program, Run, Table

SET = ROOT.parent / "shared" / "data" / "ml_latest_small_2018"
METRICS = {"recall_at_10": "Recall@10", "ndcg_at_10": "NDCG@10", "rmse": "RMSE"}
ROWS = {
    "this model": "athanor recommender",
    "content": "content alone",
    "popularity": "popularity",
    "user_and_item_means": "user and item means",
}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", type=Path, default=SET, help="Directory of ratings and movies.")
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        paths = {
            name: _unpacked(options.set, name, Path(directory)) for name in ("ratings", "movies")
        }
        words = f"-m athanor recommender train --data {paths['ratings']} --items {paths['movies']}"
        program = Program(
            ROWS["this model"], (*words.split(), "--split=new_items", "--json"), _scores
        )
        conditions = protocol.block(
            [program], options.repeats, judged="pairs of the films that training does not see"
        )
        runs = protocol.in_turn([program], options.repeats, Path(directory))
    title = "MovieLens, small: films without a rating"
    protocol.write("new_items", title, conditions, runs, _table(runs))


def _unpacked(folder: Path, name: str, directory: Path) -> Path:
    """Write a table as CSV; that of films has their tags too."""
    path = directory / f"{name}.csv"
    with gzip.open(folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    if name == "movies":
        tags: dict[str, set[str]] = {}
        with (folder / "tags.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                tags.setdefault(row["movieId"], set()).add(row["tag"].lower())
        rows = [row | {"tags": "|".join(sorted(tags.get(row["movieId"], ())))} for row in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return path


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "this model": result["test"],
        "intervals": json.loads((Path(result["run"]) / "scores.json").read_text())["intervals"],
        "seconds": result["seconds"]["train"],
        **result["baselines"],
    }


def _table(runs: Sequence[Run]) -> Table:
    rows = []
    for key, title in ROWS.items():
        cells = []
        for metric in METRICS:
            found = [run.answer[key][metric] for run in runs if metric in run.answer[key]]
            ends = runs[0].answer["intervals"].get(metric) if key == "this model" else None
            interval = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else ""
            cells.append(f"{statistics.mean(found):.3f}{interval}" if found else "")
        rows.append([title, *cells])
    return Table(["lists of new films", *METRICS.values()], rows)


if __name__ == "__main__":
    main()
