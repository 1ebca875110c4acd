"""Compare the text app to linear support vector machines of scikit-learn.

    python benchmarks/texts.py

About an hour on two cores. The splits are official; SST-2's validation split is the test set,
because its test split has no classes. Every run of Athanor has default flags except for the data,
the model and the seed. The peers have no seed: they run once a set. Test texts are read once a run.
"""

import argparse
import csv
import gzip
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

sys.path.append(str(protocol.HERE / "recipes"))
import text_peers

TITLES = protocol.ROOT.parent / "shared" / "data" / "csl_chinese_titles"
SETS = {
    "IMDB": "tfds:imdb_reviews",
    "SST-2": "tfds:glue/sst2",
    "TREC": "tfds:trec",
    "CLINC150": "tfds:clinc_oos",
    "CSL": "",  # titles, made by `_write_titles`
}
MODELS = ("blend", "ngrams", "rnn")
PEERS = "benchmarks/recipes/text_peers.py"


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        flags = {name: _flags(name, Path(directory)) for name in options.sets}
        ours = [_training(name, flags[name], model) for name in flags for model in options.models]
        peers = [_peer(name, flags[name], peer) for name in flags for peer in text_peers.PROGRAMS]
        conditions = protocol.block(
            [*ours, *peers],
            options.repeats,
            judged="test texts, once a run; epochs are chosen on validation texts",
        )
        runs = protocol.in_turn(peers, 1, Path(directory))
        runs += protocol.in_turn(ours, options.repeats, Path(directory))
    table = _table(options.sets, options.models, runs)
    protocol.write("texts", "Texts: test accuracy", conditions, runs, table)


def _flags(name: str, directory: Path) -> tuple[str, ...]:
    """Return the flags of a set."""
    if name != "CSL":
        return ("--data", SETS[name])
    train, test = (_write_titles(split, directory) for split in ("train", "test"))
    return ("--data", str(train), "--test", str(test))


def _write_titles(split: str, directory: Path) -> Path:
    """Write the Chinese titles of a split as a table, and return its path."""
    path = directory / f"csl-{split}.csv"
    with (
        gzip.open(TITLES / f"title_category_{split}.tsv.gz", "rt", encoding="utf-8") as source,
        path.open("w", newline="", encoding="utf-8") as target,
    ):
        csv.writer(target).writerows(line.rstrip("\n").split("\t") for line in source)
    return path


def _training(name: str, flags: Sequence[str], model: str) -> Program:
    """Return the app on a set."""
    words = ("-m", "athanor", "text", "train", *flags, "--model", model, "--json")
    return Program(f"{name}, {model}", words, _scores)


def _peer(name: str, flags: Sequence[str], peer: str) -> Program:
    return Program(f"{name}, {peer}", (PEERS, peer, *flags))


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    baselines = {name: scores["accuracy"] for name, scores in result["baselines"].items()}
    own = {"accuracy": result["test"]["accuracy"], "train_seconds": result["seconds"]["train"]}
    return own | baselines


def _table(sets: Sequence[str], models: Sequence[str], runs: Sequence[Run]) -> Table:
    """Return a line for each set: mean accuracies, and median seconds of the whole process."""
    rows = []
    for name in sets:
        cells = [name]
        for column in (*text_peers.PROGRAMS, *models):
            own = [run for run in runs if run.program == f"{name}, {column}"]
            accuracy = statistics.mean(run.answer["accuracy"] for run in own)
            seconds = statistics.median(run.seconds for run in own)
            cells.append(f"{accuracy:.2%} in {seconds:,.0f} s")
        rows.append(cells)
    titles = [*text_peers.PROGRAMS.values(), *(f"athanor --model {model}" for model in models)]
    return Table(["data", *titles], rows)


if __name__ == "__main__":
    main()
