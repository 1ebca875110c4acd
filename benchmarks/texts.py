"""Compare the text app with default flags to logistic regression on TF-IDF.

    python benchmarks/texts.py

Fifty minutes on one core. The splits are official; SST-2's validation split is the test set,
because its test split has no classes. Every run is `athanor text train` with default flags except
for the data and the seed; the same command fits and evaluates the peer, scikit-learn's. The test
examples are read once a run.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program

SETS = ("imdb_reviews", "glue/sst2", "trec", "clinc_oos")
PEER = "tf-idf_logistic_regression"


def training(name: str) -> Program:
    """Return the app on a set, with default flags."""
    words = ("-m", "athanor", "text", "train", "--data", f"tfds:{name}", "--json")
    return Program(f"text --data tfds:{name}", words, _scores)


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    repeats, programs = options.repeats, [training(name) for name in options.sets]
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


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": result["test"]["accuracy"],
        PEER: result["baselines"][PEER]["accuracy"],
        "majority": result["baselines"]["majority"]["accuracy"],
        "train_seconds": result["seconds"]["train"],
    }


if __name__ == "__main__":
    main()
