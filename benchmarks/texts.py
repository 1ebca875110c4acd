"""What the text app reaches with default flags, beside TF-IDF and logistic regression.

    python benchmarks/texts.py

Fifty minutes on one core. Official splits; SST-2's validation split is the test, for
its test split has no classes. Every run is `athanor text train` with default flags but
for the data and the seed, and trains and judges the peer, scikit-learn's, in the same
command; the test examples are read once a run.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

SETS = ("imdb_reviews", "glue/sst2", "trec", "clinc_oos")
PEER = "tf-idf_logistic_regression"


def trained(name: str) -> Program:
    """The app on a set, with default flags."""
    words = ("-m", "athanor", "text", "train", "--data", f"tfds:{name}", "--json")
    return Program(f"text --data tfds:{name}", words, _answer)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    given = parser.parse_args()
    repeats, programs = given.repeats, [trained(name) for name in given.sets]
    conditions = protocol.block(
        programs,
        repeats,
        judged="test examples, once a run; the epoch is chosen on validation examples",
    )
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, repeats, Path(directory))
    protocol.write(
        "texts", "Texts: test accuracy with default flags", conditions, runs, _table(programs, runs)
    )


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": said["test"]["accuracy"],
        PEER: said["baselines"][PEER]["accuracy"],
        "majority": said["baselines"]["majority"]["accuracy"],
        "train_seconds": said["seconds"]["train"],
    }


def _table(programs: Sequence[Program], runs: Sequence[Run]) -> Table:
    rows = []
    for program in programs:
        found = protocol.values(runs, program, "accuracy")
        peer, trivial = (
            f"{100 * statistics.mean(protocol.values(runs, program, name)):.2f} %"
            for name in (PEER, "majority")
        )
        ends = f"{100 * min(found):.2f} to {100 * max(found):.2f}"
        seconds = protocol.spread(protocol.values(runs, program, "seconds")).text(0)
        mean = f"{100 * statistics.mean(found):.2f} %"
        rows.append([program.name, mean, ends, peer, trivial, seconds])
    header = ["run", "mean", "seeds", "TF-IDF + logistic regression", "majority", "seconds, both"]
    return Table(header, rows)


if __name__ == "__main__":
    main()
