"""Compare the default flags with Surprise, myFM and EASE on the official folds of MovieLens 100K.

    python benchmarks/movielens.py

Models see ids only, but for the last one: titles and genres of films, age, gender, occupation and
post code of users. The test fold chooses nothing: athanor holds out 2 % of its training part to
choose the epoch and the blend of the lists. Lists are of all items without a training rating of the
user; a test item is relevant if its rating is at least the mean of the training ratings. The peers
are extras: pip install 'athanor[bench]'.
"""

import argparse
import csv
import gzip
import importlib.util
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import ROOT, Program, Run, Table

RATINGS = ROOT.parent / "shared" / "data" / "movielens_100k" / "u.data.gz"
COLUMNS = ("user_id", "item_id", "rating", "timestamp")
NUM_FOLDS, RATINGS_PER_FOLD = 5, 20_000
PEERS = {
    "svd": "Surprise SVD",
    "svdpp": "Surprise SVD++",
    "myfm": "myFM, rank 10",
    "ease": "EASE, l2 200",
}
LIST_METRICS = {
    "recall_at_10": "Recall@10",
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
    "ndcg_at_20": "NDCG@20",
    "coverage": "coverage@10",
}
OURS = "athanor recommender"
WITH_COLUMNS = "athanor recommender, columns of items and users"
TABLES = {  # the features of the TFDS set movielens/100k-ratings
    "items": ("movie_id", "movie_title", "movie_genres"),
    "users": ("user_id", "raw_user_age", "user_gender", "user_occupation_text", "user_zip_code"),
}


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=Path, default=RATINGS, help="u.data.gz of the set.")
    options = parser.parse_args()
    require_inputs(options.ratings)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_folds(options.ratings, directory)
        write_tables(directory)
        rounds = [programs(number, directory) for number in range(NUM_FOLDS)]
        conditions = protocol.block(
            rounds[0],
            NUM_FOLDS,
            judged="the test fold, once a run; seed and repeat are the number of the fold",
            clock="the fit alone, by the program's own clock; athanor's has validation in it",
        )
        runs = [
            protocol.run(program, number, directory)
            for number, round_programs in enumerate(rounds)
            for program in round_programs
        ]
    title = "MovieLens 100K, mean of the five official folds"
    protocol.write("movielens", title, conditions, runs, _table(rounds[0], runs))


def require_inputs(ratings: Path) -> None:
    """Exit with one line unless the ratings exist and the peers are installed."""
    if not ratings.is_file():
        raise SystemExit(f"Found no {ratings}; name u.data.gz of MovieLens 100K with --ratings.")
    missing = [name for name in ("surprise", "myfm") if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"{' and '.join(missing)} are not installed; install them: "
            "pip install 'athanor[bench]', or: make bench."
        )


def write_folds(ratings: Path, directory: Path) -> None:
    """Write train-K.csv and test-K.csv for each fold K, which is line // 20,000 of the file."""
    lines = [
        line.split("\t") for line in gzip.decompress(ratings.read_bytes()).decode().split("\n")
    ]
    rows = [line for line in lines if len(line) == len(COLUMNS)]
    for number in range(NUM_FOLDS):
        first = number * RATINGS_PER_FOLD
        parts = {
            "train": rows[:first] + rows[first + RATINGS_PER_FOLD :],
            "test": rows[first : first + RATINGS_PER_FOLD],
        }
        for name, part in parts.items():
            with (directory / f"{name}-{number}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *part])


def write_tables(directory: Path) -> None:
    """Write items.csv and users.csv, one row for each."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("movielens/100k-ratings")
    genres = builder.info.features["movie_genres"].feature.names
    examples = [*builder.as_dataset(split="train").as_numpy_iterator()]
    for name, features in TABLES.items():
        rows = {
            example[features[0]]: [example[column] for column in features] for example in examples
        }
        with (directory / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["item_id" if name == "items" else "user_id", *features[1:]])
            writer.writerows([_cell(value, genres) for value in row] for row in rows.values())


def _cell(value: Any, genres: Sequence[str]) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return "|".join(genres[number] for number in value) if value.ndim else value.item()


def programs(number: int, directory: Path) -> list[Program]:
    """Return all programs for one fold."""
    train, test = (str(directory / f"{name}-{number}.csv") for name in ("train", "test"))
    ours = f"-m athanor recommender train --data csv:{train} --test csv:{test} --json".split()
    columns = [f"--{name}={directory / name}.csv" for name in TABLES]
    recipe = "benchmarks/recipes/movielens_peers.py"
    return [
        Program(OURS, tuple(ours), _scores),
        Program(WITH_COLUMNS, (*ours, *columns), _scores),
        *(Program(name, (recipe, key, train, test)) for key, name in PEERS.items()),
    ]


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
        errors = [answer["rmse"] for answer in answers if "rmse" in answer]
        ratings = ["", ""]
        if errors:
            rmse = protocol.spread(errors)
            ratings = [f"{statistics.mean(errors):.4f}", f"{rmse.least:.4f} to {rmse.most:.4f}"]
        fit = protocol.spread([answer["seconds"] for answer in answers]).text(1)
        rows.append([program.name, *ratings, fit, *_list_cells(answers, "")])
    rows += _baselines(runs)
    return Table(["program", "RMSE", "folds", "seconds of fit", *LIST_METRICS.values()], rows)


def _list_cells(answers: Sequence[dict[str, Any]], prefix: str) -> list[str]:
    """Return the means of the metrics of lists; empty cells for those that are missing."""
    names = [f"{prefix}{name}" for name in LIST_METRICS]
    return [
        f"{statistics.mean(answer[name] for answer in answers):.3f}" if name in answers[0] else ""
        for name in names
    ]


def _baselines(runs: Sequence[Run]) -> list[list[str]]:
    answers = [run.answer for run in runs if run.program == OURS]
    rmse = statistics.mean(answer["user_and_item_means_rmse"] for answer in answers)
    lists = {"popularity": "popularity", "item_knn": "item-kNN, cosine"}
    return [
        ["user and item means", f"{rmse:.4f}", *[""] * (2 + len(LIST_METRICS))],
        *([title, "", "", "", *_list_cells(answers, f"{name}_")] for name, title in lists.items()),
    ]


if __name__ == "__main__":
    main()
