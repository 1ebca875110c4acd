"""Kill the processes of a search at random times, and compare its result with an undisturbed one.

    python benchmarks/search_kills.py --kills 50

About twenty minutes on two cores. SIGKILL goes to one worker, to the chief, or to all of them at
once; if the search has ended, the same command is started again. The table of trials at the end
must equal the table of the undisturbed search, in every digit.
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

FLAGS = ("--epochs", "3", "--model", "mlp", "--precision", "float32", "--patience", "0")
SECONDS_BETWEEN_KILLS = (5.0, 30.0)
WORKERS = 2


def search_command(directory: Path, trials: int, seed: int) -> list[str]:
    """Return the command of the search."""
    words = ["-m", "athanor", "mnist", "tune", "--trials", str(trials), *FLAGS]
    flags = ["--workers", str(WORKERS), "--run-dir", str(directory), "--seed", str(seed)]
    return [sys.executable, *words, *flags]


def read_trials(directory: Path) -> list[dict[str, str]]:
    """Read the table of trials, without their seconds."""
    with (directory / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def ended_trials(directory: Path) -> set[str]:
    """Return the trials that the journal says have ended."""
    journal = directory / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return {line.split('"trial": "')[1][:4] for line in lines if '"event": "end"' in line}


def workers_of(pid: int) -> list[int]:
    """Return the processes that a search has started."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def run_with_kills(
    words: list[str], directory: Path, kills: int, draw: random.Random
) -> dict[str, Any]:
    """Run a search to its end, with up to `kills` kills on the way; return counts."""
    counts = {"worker": 0, "chief": 0, "all": 0, "lost": 0, "starts": 0}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = None
    known_ended: set[str] = set()
    while True:
        if process is None:
            process = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]
            counts["starts"] += 1
        try:
            process.wait(draw.uniform(*SECONDS_BETWEEN_KILLS) if kills else None)
        except subprocess.TimeoutExpired:
            kills -= 1
            target = draw.choice(["worker", "chief", "all"])
            workers = workers_of(process.pid)
            target = target if workers else "chief"
            victims = {
                "worker": workers[:1],
                "chief": [process.pid],
                "all": [*workers, process.pid],
            }
            for pid in victims[target]:
                os.kill(pid, signal.SIGKILL)
            counts[target] += 1
            if target != "worker":
                process.wait()
                process = None
            counts["lost"] += len(known_ended - ended_trials(directory))
            known_ended |= ended_trials(directory)
            continue
        if process.returncode:
            raise SystemExit(process.stderr.read().decode()[-2000:])
        return counts


def main() -> None:
    """Search, kill, compare, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=24)
    options = parser.parse_args()
    draw = random.Random(0)
    counts: dict[str, int] = {}
    runs, differ, done, seed = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as root:
        while done < options.kills:
            quiet, disturbed = Path(root) / f"quiet-{seed}", Path(root) / f"killed-{seed}"
            subprocess.run(
                search_command(quiet, options.trials, seed), check=True, stdout=subprocess.DEVNULL
            )
            start = time.perf_counter()
            words = search_command(disturbed, options.trials, seed)
            kill_counts = run_with_kills(words, disturbed, options.kills - done, draw)
            same = read_trials(quiet) == read_trials(disturbed)
            differ += not same
            answer = {**kill_counts, "same": same, "trials": len(read_trials(disturbed))}
            print(f"seed {seed}: {answer}", file=sys.stderr)
            seconds = round(time.perf_counter() - start, 1)
            runs.append(Run("killed search", seed, seconds, 0.0, None, answer))
            counts = {name: counts.get(name, 0) + kill_counts[name] for name in kill_counts}
            done, seed = (
                done + kill_counts["worker"] + kill_counts["chief"] + kill_counts["all"],
                seed + 1,
            )
    program = Program("killed search", ("-m", "athanor", "mnist", "tune", "--workers", "2", *FLAGS))
    conditions = protocol.block([program], 1) | {"seeds": list(range(seed)), "how": "after another"}
    names = ["worker", "chief", "all", "starts", "lost"]
    rows = [[str(len(runs)), *(str(counts[name]) for name in names), str(differ)]]
    header = ["searches", "kills of a worker", "of the chief", "of all", "starts"]
    header += ["finished trials lost", "tables that differ"]
    title = f"{done} SIGKILLs at random times over searches of {options.trials} trials, 2 workers"
    protocol.write("search_kills", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
