"""Calibration, and the coverage of intervals and sets, on the test examples of real data.

    python benchmarks/calibration.py

Default flags. Validation examples choose the temperature, the intervals and the sets; the test
examples are read once a run.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import ROOT, Program, Run, Table

SHARED = ROOT.parent / "shared" / "data"
SETS = {
    "telco churn": ("regression", f"csv:{SHARED}/telco_churn/telco_customer_churn.csv.gz",
                    "--target=Churn"),
    "letters": ("regression", f"csv:{SHARED}/letter_recognition/letter_recognition.csv",
                "--target=letter"),
    "TREC": ("text", "tfds:trec", "--target=label-coarse"),
    "MNIST, one epoch": ("mnist", "tfds:mnist", "--epochs=1"),
    "California housing": ("regression", f"csv:{SHARED}/california_housing/housing.csv",
                           "--target=median_house_value"),
    "concrete": ("regression", f"csv:{SHARED}/concrete_strength/concrete_strength.csv",
                 "--target=compressive_strength"),
    "MovieLens 100K": ("recommender", "tfds:movielens/100k-ratings"),
}  # fmt: skip
COLUMNS = ("ECE before", "ECE", "Brier before", "Brier", "in interval or set", "mean size")


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="Seeds of each run.")
    parser.add_argument("--sets", nargs="*", default=list(SETS), help="Sets to measure.")
    options = parser.parse_args()
    programs = [_program(name, *SETS[name]) for name in options.sets]
    with tempfile.TemporaryDirectory() as directory:
        conditions = protocol.block(programs, options.repeats, judged="the test examples")
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    title = "Calibration and coverage on test examples"
    protocol.write("calibration", title, conditions, runs, _table(options.sets, runs))


def _program(name: str, app: str, data: str, *flags: str) -> Program:
    words = ("-m", "athanor", app, "train", f"--data={data}", *flags, "--json")
    return Program(name, words, _scores)


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    scores = json.loads((Path(result["run"]) / "scores.json").read_text())
    return {"calibration": scores["calibration"], "coverage": scores["coverage"]}


def _table(names: Sequence[str], runs: Sequence[Run]) -> Table:
    rows = []
    for name in names:
        answers = [run.answer for run in runs if run.program == name]
        calibrations = [one["calibration"] for one in answers if one["calibration"]]
        before, coverages = (
            [one["before"] for one in calibrations],
            [one["coverage"] for one in answers],
        )
        pairs = [(before, "ece"), (calibrations, "ece"), (before, "brier"), (calibrations, "brier")]
        pairs += [(coverages, "covered"), (coverages, "mean_size")]
        rows.append([name, *(_mean(found, key) for found, key in pairs)])
    return Table(["data", *COLUMNS], rows)


def _mean(found: Sequence[dict[str, Any]], key: str) -> str:
    return f"{statistics.mean(one[key] for one in found):.4g}" if found else ""


if __name__ == "__main__":
    main()
