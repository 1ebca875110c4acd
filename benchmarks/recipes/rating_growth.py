"""Train the recommender on simulated ratings with default flags; print time and memory by phase.

    python benchmarks/recipes/rating_growth.py 20_000_000 --seed 0

The table is that of large_ratings.py, in the working directory. The phases are reading and
splitting, the lists and the means, the other epochs of the ratings, and the scores with their
baselines. Memory is the resident memory of the process, read five times a second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import large_ratings

POLL_SECONDS = 0.2
PHASES = ("reading", "lists", "ratings", "scores")


class Poll(NamedTuple):
    """What a process has used, and the lines that it has printed."""

    cpu_seconds: float
    megabytes: float
    lines: list[str]


def polls(process: subprocess.Popen, output: Path) -> Iterator[Poll]:
    """Yield what a process has used until it ends."""
    while process.poll() is None:
        directory = Path(f"/proc/{process.pid}")
        fields = (directory / "stat").read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        megabytes = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        yield Poll(used, megabytes, output.read_text().splitlines())
        time.sleep(POLL_SECONDS)


def phase_of(lines: list[str], num_epochs: int) -> int:
    """Return the number of the phase, of a process that prints `num_epochs` lines of epochs."""
    epochs = sum(line.startswith("Epoch ") for line in lines)
    if not any(line.startswith("precision") for line in lines):
        return 0
    return 1 if not epochs else 2 if epochs < num_epochs else 3


def train(path: Path) -> dict[str, float]:
    """Train on a table; return seconds and peak memory by phase, and scores."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        run, output = Path(directory) / "run", Path(directory) / "output"
        words = ["recommender", "train", "--data", f"{path}", "--run-dir", f"{run}"]
        with (
            output.open("w") as file,
            subprocess.Popen(
                [sys.executable, "-u", "-m", "athanor", *words], stdout=file, stderr=file
            ) as process,
        ):
            seen = list(polls(process, output))
        if process.returncode:
            raise SystemExit(output.read_text())
        scores = json.loads((run / "scores.json").read_text())
    num_epochs = sum(line.startswith("Epoch ") for line in seen[-1].lines)
    answer: dict[str, float] = {"seconds": round(time.perf_counter() - start), "epochs": num_epochs}
    before = 0.0
    for number, name in enumerate(PHASES):
        part = [poll for poll in seen if phase_of(poll.lines, num_epochs) == number]
        answer[f"{name}_cpu_seconds"] = round(part[-1].cpu_seconds - before, 1)
        answer[f"{name}_megabytes"] = round(max(poll.megabytes for poll in part))
        before = part[-1].cpu_seconds
    answer["cpu_seconds"] = round(before, 1)
    answer["megabytes"] = round(max(poll.megabytes for poll in seen))
    return answer | {name: scores["test"][name] for name in ("rmse", "ndcg_at_10")}


def main() -> None:
    """Generate the table if it does not exist, train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="About the number of ratings.")
    parser.add_argument("--seed", type=int, default=0, help="Without effect: default flags.")
    options = parser.parse_args()
    path = Path(f"ratings-{options.count}.csv")
    if not path.exists():
        large_ratings.write(path, options.count)
    print(json.dumps(train(path)))


if __name__ == "__main__":
    main()
