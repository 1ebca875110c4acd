"""A search whose processes are killed at random instants, beside one that nobody disturbs.

    python benchmarks/search_kills.py --kills 50

Some twenty minutes on two cores. SIGKILL goes to one worker, to the chief, or to all of them at
once, and the same command is started again where nothing is left. The table of trials at
the end must be that of the undisturbed search, in every digit.
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
PAUSE = (5.0, 30.0)  # seconds between two kills
WORKERS = 2


def command(directory: Path, trials: int, seed: int) -> list[str]:
    """The search."""
    words = ["-m", "athanor", "mnist", "tune", "--trials", str(trials), *FLAGS]
    where = ["--workers", str(WORKERS), "--run-dir", str(directory), "--seed", str(seed)]
    return [sys.executable, *words, *where]


def table(directory: Path) -> list[dict[str, str]]:
    """What the search found, but for the time that it took."""
    with (directory / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def ended(directory: Path) -> set[str]:
    """The trials that the journal says have ended."""
    journal = directory / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return {line.split('"trial": "')[1][:4] for line in lines if '"event": "end"' in line}


def workers_of(pid: int) -> list[int]:
    """The processes that a search has started."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def killed(words: list[str], directory: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Run a search to its end with so many kills on the way, as long as it lasts."""
    told = {"worker": 0, "chief": 0, "all": 0, "lost": 0, "starts": 0}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = None
    known: set[str] = set()
    while True:
        if process is None:
            process = subprocess.Popen(words, **quiet)  # type: ignore[call-overload]
            told["starts"] += 1
        try:
            process.wait(draw.uniform(*PAUSE) if kills else None)
        except subprocess.TimeoutExpired:
            kills -= 1
            whom = draw.choice(["worker", "chief", "all"])
            crew = workers_of(process.pid)
            whom = whom if crew else "chief"
            victims = {"worker": crew[:1], "chief": [process.pid], "all": [*crew, process.pid]}
            for pid in victims[whom]:
                os.kill(pid, signal.SIGKILL)
            told[whom] += 1
            if whom != "worker":
                process.wait()
                process = None
            told["lost"] += len(known - ended(directory))
            known |= ended(directory)
            continue
        if process.returncode:
            raise SystemExit(process.stderr.read().decode()[-2000:])
        return told


def main() -> None:
    """Search, kill, compare, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=24)
    given = parser.parse_args()
    draw = random.Random(0)
    counts: dict[str, int] = {}
    runs, differ, done, seed = [], 0, 0, 0
    with tempfile.TemporaryDirectory() as place:
        while done < given.kills:
            quiet, disturbed = Path(place) / f"quiet-{seed}", Path(place) / f"killed-{seed}"
            subprocess.run(
                command(quiet, given.trials, seed), check=True, stdout=subprocess.DEVNULL
            )
            start = time.perf_counter()
            words = command(disturbed, given.trials, seed)
            told = killed(words, disturbed, given.kills - done, draw)
            same = table(quiet) == table(disturbed)
            differ += not same
            answer = {**told, "same": same, "trials": len(table(disturbed))}
            print(f"seed {seed}: {answer}", file=sys.stderr)
            seconds = round(time.perf_counter() - start, 1)
            runs.append(Run("killed search", seed, seconds, 0.0, None, answer))
            counts = {name: counts.get(name, 0) + told[name] for name in told}
            done, seed = done + told["worker"] + told["chief"] + told["all"], seed + 1
    program = Program("killed search", ("-m", "athanor", "mnist", "tune", "--workers", "2", *FLAGS))
    conditions = protocol.block([program], 1) | {"seeds": list(range(seed)), "how": "after another"}
    names = ["worker", "chief", "all", "starts", "lost"]
    rows = [[str(len(runs)), *(str(counts[name]) for name in names), str(differ)]]
    header = ["searches", "kills of a worker", "of the chief", "of all", "starts"]
    header += ["finished trials lost", "tables that differ"]
    title = f"{done} SIGKILLs at random instants over searches of {given.trials} trials, 2 workers"
    protocol.write("search_kills", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
