"""What the text app reaches with default flags, beside TF-IDF and logistic regression.

    python benchmarks/texts.py

Fifty minutes on one core. Official splits; SST-2's validation split is the test, for
its test split has no classes. Every run is `athanor text train` with default flags but
for the data and the seed, and trains and judges the peer, scikit-learn's, in the same
command; the test examples are read once a run.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program

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
        "texts",
        "Texts: test accuracy with default flags",
        conditions,
        runs,
        protocol.accuracies(
            programs, runs, **{PEER: "TF-IDF + logistic regression"}, majority="majority"
        ),
    )


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": said["test"]["accuracy"],
        PEER: said["baselines"][PEER]["accuracy"],
        "majority": said["baselines"]["majority"]["accuracy"],
        "train_seconds": said["seconds"]["train"],
    }


if __name__ == "__main__":
    main()
