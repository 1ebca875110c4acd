"""Compare the latency of a prediction over HTTP with the same call in the client's process.

    export TFDS_DATA_DIR=...     # the directory of the prepared `mnist`
    python benchmarks/serving_latency.py

Three minutes on two cores; without --run, also the training of a network on MNIST for an epoch.
`athanor serve` answers clients in another process of the same machine; each client sends an
image, waits for the answer and sends the next. In turn with that, the same image goes to
`tf.saved_model.load(...).signatures[...]`: from nested lists of Python, as clients have it before
it becomes JSON, and from a NumPy array; and to the server's own loader, from the body of a request
to the body of an answer. The client encodes its request beforehand in the first rows, and within
the measured time in the last one; it parses the answer into Python values in all of them.
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
PERCENTILES = ("p10", "p50", "p95", "p99")
CALLS = {
    "lists": "in process, from nested lists",
    "array": "in process, from an array",
    "own": "in process, by what the server loads",
    "http": "HTTP, in turn with the three above",
}
FIRST_REQUESTS = {
    "first": "HTTP, first request of a server",
    "paused": "HTTP, any request after as many others",
}
REPEATS = 3


def train_and_export(directory: Path) -> Path:
    """Train an epoch on MNIST and export; return the run."""
    protocol.require_mnist()
    run = directory / "mnist"
    athanor = [sys.executable, str(ROOT / "athanor.py"), "mnist"]
    for words in (["train", "--data", "tfds:mnist", "--epochs", "1", "--run-dir"], ["export"]):
        subprocess.run([*athanor, *words, str(run)], check=True, stdout=subprocess.DEVNULL)
    return run


@contextlib.contextmanager
def serve(run: Path, directory: Path) -> Iterator[tuple[str, int]]:
    """Start a server of a run; yield its prediction URL and its process id."""
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
    """Return the programs that are started in turn."""
    inside = ("benchmarks/recipes/serving_inside.py", "--export", str(export), "--url", url)
    clients = ("benchmarks/recipes/serving_clients.py", "--url", url)
    all_programs = [Program("in process", inside)]
    for number in CLIENTS:
        count = ("--clients", str(number), "--requests", str(requests))
        all_programs.append(
            Program(f"HTTP, {number} client{'s' * (number > 1)}", (*clients, *count))
        )
    encoding = ("--requests", str(requests), "--encode")
    return [*all_programs, Program("HTTP, 1 client, encoding counted", (*clients, *encoding))]


def first_requests(run: Path, directory: Path, repeats: int) -> list[Run]:
    """Measure the first request of a server that has just started, and later ones."""
    runs = []
    for seed in range(repeats):
        with serve(run, directory) as (url, _):
            clients = ("benchmarks/recipes/serving_clients.py", "--url", url, "--requests", "500")
            runs.append(protocol.run(Program("first request", clients), seed, directory))
    return runs


def table(runs: list[Run]) -> Table:
    """Return milliseconds by percentile, and requests a second."""

    def median(name: str, key: str) -> float:
        return statistics.median(run.answer[key] for run in runs if run.program == name)

    def call_cells(call: str) -> list[str]:
        answers = [run.answer[call] for run in runs if run.program == "in process"]
        return [f"{statistics.median(run[p] for run in answers):.2f}" for p in PERCENTILES]

    rows = []
    for call, name in CALLS.items():
        rows.append([name, *call_cells(call), ""])
    for name in dict.fromkeys(run.program for run in runs if run.program.startswith("HTTP")):
        times = [f"{median(name, p):.2f}" for p in PERCENTILES]
        rows.append([name, *times, f"{median(name, 'rate'):,.0f}"])
    for key, name in FIRST_REQUESTS.items():
        rows.append([name, "", f"{median('first request', key):.2f}", "", "", ""])
    return Table(["", "p10 ms", "p50 ms", "p95 ms", "p99 ms", "requests a second"], rows)


def main() -> None:
    """Serve, ask, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run of mnist on 28 by 28 pixels, exported")
    parser.add_argument("--requests", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root)
        run = options.run.resolve() if options.run else train_and_export(directory)
        export = max((run / "export").iterdir(), key=lambda path: int(path.name))
        with serve(run, directory) as (url, _):
            started = programs(export, url, options.requests)
            runs = protocol.in_turn(started, REPEATS, directory)
        runs += first_requests(run, directory, REPEATS)
    title = "MNIST's network, one image in each request: medians of the runs"
    protocol.write("serving", title, conditions(started), runs, table(runs), numbers=numbers(runs))


def conditions(measured_programs: list[Program]) -> dict[str, Any]:
    """Return the conditions, without the random port."""
    block = protocol.block([], REPEATS)
    block["command"] = block["command"].replace(str(ROOT.parent), "..")
    block["programs"] = {
        program.name: program.command.split(" --url")[0] for program in measured_programs
    }
    return block


def numbers(runs: list[Run]) -> dict[str, float]:
    """Return how much HTTP adds to a call, as a difference and as a ratio."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_name.setdefault(run.program, []).append(run.answer)
    lists, array, own, http = (
        statistics.median(run[call]["p50"] for run in by_name["in process"]) for call in CALLS
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


def ratio(answers: list[dict[str, Any]], numerator: str, denominator: str) -> float:
    """Return the median ratio over the servers."""
    return round(
        statistics.median(answer[numerator] / answer[denominator] for answer in answers), 3
    )


if __name__ == "__main__":
    main()
