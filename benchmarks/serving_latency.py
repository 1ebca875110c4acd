"""How long an answer takes over HTTP beside the same call in the process of who asks.

    export TFDS_DATA_DIR=...     # where the prepared `mnist` lies
    python benchmarks/serving_latency.py

Three minutes on two cores, besides the training of a network on MNIST for an epoch where
no --run is given. `athanor serve` answers clients in another process of the same machine;
each sends a picture, waits for the answer and sends the next. The same picture is given to
`tf.saved_model.load(...).signatures[...]` in turn with that: from nested lists of Python,
as clients have it before it becomes JSON, and from a NumPy array that is already there;
and to what the server itself loads, from the body of a request to the body of an answer.
The request of the client is encoded beforehand in the first rows, and within the time in
the row that says so; the answer is read into Python values in all of them.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import protocol
from protocol import ROOT, Program, Run, Table

CLIENTS = (1, 4, 16, 64)
SHOWN = ("p10", "p50", "p95", "p99")
WAYS = {
    "lists": "in process, from nested lists",
    "array": "in process, from an array",
    "own": "in process, by what the server loads",
    "http": "HTTP, in turn with the three above",
}
FIRST = {
    "first": "HTTP, first request of a server",
    "paused": "HTTP, any request after as many others",
}
REPEATS = 3


def trained(directory: Path) -> Path:
    """A run of an epoch on MNIST with an export."""
    protocol.require_mnist()
    run = directory / "mnist"
    athanor = [sys.executable, str(ROOT / "athanor.py"), "mnist"]
    for words in (["train", "--data", "tfds:mnist", "--epochs", "1", "--run-dir"], ["export"]):
        subprocess.run([*athanor, *words, str(run)], check=True, stdout=subprocess.DEVNULL)
    return run


@contextlib.contextmanager
def served(run: Path, directory: Path) -> Iterator[tuple[str, int]]:
    """A server of a run: the URL to ask, and its process."""
    words = ["serve", f"mnist={run}", "--port", "0", "--log", str(directory / "log"), "--trust"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "athanor.py"), *words], stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "http" not in line:
            raise SystemExit("the server did not start")
        yield line.split()[-1], process.pid
        process.terminate()
        if process.wait(30):
            raise SystemExit(f"the server ended with {process.returncode}")
    finally:
        process.kill()


def programs(export: Path, url: str, requests: int) -> list[Program]:
    """What is started in turn."""
    inside = ("benchmarks/recipes/serving_inside.py", "--export", str(export), "--url", url)
    asked = ("benchmarks/recipes/serving_clients.py", "--url", url)
    found = [Program("in process", inside)]
    for number in CLIENTS:
        count = ("--clients", str(number), "--requests", str(requests))
        found.append(Program(f"HTTP, {number} client{'s' * (number > 1)}", (*asked, *count)))
    encoding = ("--requests", str(requests), "--encode")
    return [*found, Program("HTTP, 1 client, encoding counted", (*asked, *encoding))]


def firsts(run: Path, directory: Path, repeats: int) -> list[Run]:
    """The first request of a server that has just started, beside those after it."""
    found = []
    for seed in range(repeats):
        with served(run, directory) as (url, _):
            asked = ("benchmarks/recipes/serving_clients.py", "--url", url, "--requests", "500")
            found.append(protocol.run(Program("first request", asked), seed, directory))
    return found


def table(runs: list[Run]) -> Table:
    """Milliseconds by percentile, and requests a second."""

    def middle(name: str, key: str) -> float:
        return statistics.median(one.answer[key] for one in runs if one.program == name)

    def inside(which: str) -> list[str]:
        found = [one.answer[which] for one in runs if one.program == "in process"]
        return [f"{statistics.median(one[p] for one in found):.2f}" for p in SHOWN]

    rows = []
    for which, name in WAYS.items():
        rows.append([name, *inside(which), ""])
    for name in dict.fromkeys(one.program for one in runs if one.program.startswith("HTTP")):
        times = [f"{middle(name, p):.2f}" for p in SHOWN]
        rows.append([name, *times, f"{middle(name, 'rate'):,.0f}"])
    for key, name in FIRST.items():
        rows.append([name, "", f"{middle('first request', key):.2f}", "", "", ""])
    return Table(["", "p10 ms", "p50 ms", "p95 ms", "p99 ms", "requests a second"], rows)


def main() -> None:
    """Serve, ask, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run of mnist on 28 by 28 pixels, exported")
    parser.add_argument("--requests", type=int, default=3000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        run = given.run.resolve() if given.run else trained(directory)
        export = max((run / "export").iterdir(), key=lambda path: int(path.name))
        with served(run, directory) as (url, _):
            started = programs(export, url, given.requests)
            runs = protocol.in_turn(started, REPEATS, directory)
        runs += firsts(run, directory, REPEATS)
    title = "MNIST's network asked for one picture at a time: medians of the runs"
    protocol.write("serving", title, conditions(started), runs, table(runs), numbers=numbers(runs))


def conditions(started: list[Program]) -> dict[str, Any]:
    """The protocol's block, without the port of this time."""
    block = protocol.block([], REPEATS)
    block["command"] = block["command"].replace(str(ROOT.parent), "..")
    block["programs"] = {one.name: one.command.split(" --url")[0] for one in started}
    return block


def numbers(runs: list[Run]) -> dict[str, float]:
    """What is asked of the server: how much HTTP adds to a call, in all and as a ratio."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in runs:
        by_name.setdefault(one.program, []).append(one.answer)
    lists, array, own, http = (
        statistics.median(one[which]["p50"] for one in by_name["in process"]) for which in WAYS
    )
    started = by_name["first request"]
    return {
        "ms_above_lists": round(http - lists, 3),
        "times_lists": round(http / lists, 3),
        "ms_above_array": round(http - array, 3),
        "times_array": round(http / array, 3),
        "ms_above_own": round(http - own, 3),
        "times_own": round(http / own, 3),
        "first_times_p50": ratio(started, "first", "p50"),
        "first_times_paused": ratio(started, "first", "paused"),
    }


def ratio(answers: list[dict[str, Any]], above: str, below: str) -> float:
    """The middle one of the servers' own."""
    return round(statistics.median(one[above] / one[below] for one in answers), 3)


if __name__ == "__main__":
    main()
