"""Send a hundred thousand requests while versions are swapped, and again with malformed ones.

    export TFDS_DATA_DIR=...     # the directory of the prepared `mnist`
    python benchmarks/serving_load.py

About ten minutes on two cores. `athanor serve` answers 16 connections of another process;
meanwhile 20 new versions are published at equal distances, each a copy of the first. A request
fails if its connection breaks, if a valid one is not answered by 200 and a prediction, or if a
malformed one is not answered by 4xx and a message. The server's resident memory is read from
/proc; its growth is measured from the first tenth, after some swaps, to the end.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import protocol
from protocol import Program, Run, Table
from recipes.serving_clients import length, random_image, request, shape_of
from serving_latency import serve, train_and_export

CLIENTS, SWAPS = 16, 20
MAX_SECONDS = 1800.0  # of a campaign, whatever happens


class Kind(NamedTuple):
    """A request: its bytes, and the statuses that may answer it."""

    data: bytes
    statuses: range


class Load:
    """The requests of a campaign, and counts of their answers."""

    def __init__(self, count: int, share: float, seed: int) -> None:
        self.count, self.share = count, share
        self.draw = random.Random(seed)
        self.asked = self.malformed = 0
        self.statuses: dict[int, int] = {}
        self.failures: list[str] = []
        self.memory: list[float] = []

    def next(self, good: list[bytes], bad: list[bytes]) -> Kind | None:
        """Return the next request, as long as there are any."""
        if self.asked >= self.count:
            return None
        self.asked += 1
        if self.draw.random() < self.share:
            self.malformed += 1
            return Kind(self.draw.choice(bad), range(400, 500))
        return Kind(self.draw.choice(good), range(200, 201))

    def ended(self, kind: Kind, status: int, body: bytes) -> None:
        """Count an answer, and record it if it is wrong."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        key = "predictions" if status == 200 else "error"
        try:
            content = json.loads(body)[key]
        except (ValueError, KeyError, TypeError):
            content = None
        if status not in kind.statuses or not content:
            self.failures.append(f"{status} {body[:200]!r} to {kind.data[-200:]!r}")


def malformed_requests(url: SplitResult, image: Any) -> list[bytes]:
    """Return malformed requests, which the server must refuse."""
    ragged = [image[0][:-1], *image[1:]]
    contents: list[Any] = [
        [[1, 2, 3]],
        [ragged],
        [[[["7"]] * 28] * 28],
        [[[[0.5]] * 28] * 28],
        [[[[999]] * 28] * 28],
        [[[[None]] * 28] * 28],
        [],
        {"pixels": 1},
    ]
    valid = request(url, [image])
    requests = [request(url, content) for content in contents]
    for text in (b"{", b"[]", b'{"instances": [NaN]}', b"[" * 5000, b"\xff\xfe", b"{}"):
        head = f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
        requests.append(head.encode() + text)
    for old, new in (
        (b":predict", b":guess"),
        (b"/v1/models/", b"/v1/models/un"),
        (b"POST", b"PUT"),
    ):
        requests.append(valid.replace(old, new, 1))
    return requests


async def client(url: SplitResult, load: Load, good: list[bytes], bad: list[bytes]) -> None:
    """Send requests over one connection, one after the other."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    while kind := load.next(good, bad):
        try:
            writer.write(kind.data)
            head = await reader.readuntil(b"\r\n\r\n")
            load.ended(kind, int(head.split()[1]), await reader.readexactly(length(head)))
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            load.failures.append(f"{error!r} to {kind.data[-200:]!r}")
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.close()


def publish(export: Path, number: int) -> None:
    """Publish a copy of the first version as another one, atomically."""
    temporary = export / f".beside-{number}"
    shutil.copytree(export / "1", temporary)
    temporary.rename(export / str(number))


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def publish_versions(export: Path, load: Load, pid: int) -> None:
    """Publish versions at equal distances, and record the memory."""
    for number in range(2, SWAPS + 2):
        while load.asked < load.count * (number - 1) / (SWAPS + 1):
            await asyncio.sleep(0.1)
        await asyncio.to_thread(publish, export, number)
        load.memory.append(resident_megabytes(pid))


async def run_campaign(url: SplitResult, load: Load, export: Path, pid: int) -> None:
    """Send all requests, and publish versions at the same time."""
    draw = random.Random(0)
    images = [random_image(draw, shape_of("28,28,1")) for _ in range(64)]
    good = [request(url, [image]) for image in images]
    bad = malformed_requests(url, images[0])
    async with asyncio.timeout(MAX_SECONDS):
        swapping = asyncio.create_task(publish_versions(export, load, pid))
        await asyncio.gather(*(client(url, load, good, bad) for _ in range(CLIENTS)))
        await swapping
    await asyncio.sleep(3)  # the last version is served, the one before unloaded
    load.memory.append(resident_megabytes(pid))


def measure(run: Path, load: Load, name: str, seed: int) -> Run:
    """Return a campaign against its own server, and whether it serves the last version finally."""
    with tempfile.TemporaryDirectory() as root:
        copy = Path(root) / "mnist"
        shutil.copytree(run / "export" / "1", copy / "export" / "1")
        start = time.perf_counter()
        with serve(copy, Path(root)) as (address, pid):
            url = urlsplit(address)
            asyncio.run(run_campaign(url, load, copy / "export", pid))
            events = [json.loads(line) for line in (Path(root) / "log").read_bytes().splitlines()]
        loaded = [event["version"] for event in events if event["event"] == "serving"]
        broken = [event for event in events if event["event"] in ("failed", "load failed")]
    for failure in load.failures[:5]:
        print(failure, file=sys.stderr)
    answer = {
        "requests": load.asked,
        "malformed": load.malformed,
        "failures": len(load.failures),
        "statuses": {str(status): n for status, n in sorted(load.statuses.items())},
        "versions_served": len(loaded),
        "faults_in_log": len(broken),
        "megabytes": [round(event) for event in load.memory],
    }
    seconds = time.perf_counter() - start
    print(f"{name}: {seconds:.0f} s  {answer}", file=sys.stderr)
    return Run(name, seed, round(seconds, 1), 0.0, None, answer)


def main() -> None:
    """Serve, ask, swap, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run of mnist on 28 by 28 pixels, exported")
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as root:
        run = options.run.resolve() if options.run else train_and_export(Path(root))
        for seed, (name, share) in enumerate((("all whole", 0.0), ("5 % malformed", 0.05))):
            runs.append(measure(run, Load(options.requests, share, seed), name, seed))
    words = ("-m", "athanor", "serve", "RUN", "--port", "0")
    conditions = protocol.block([Program("server", words)], 1)
    conditions["command"] = conditions["command"].replace(str(protocol.ROOT.parent), "..")
    conditions |= {"seeds": [measured.seed for measured in runs], "how": "after another"}
    header = ["requests", "number", "malformed", "failures", "answers by status", "swaps"]
    rows = []
    for measured in runs:
        answer = measured.answer
        statuses = ", ".join(f"{status}: {n:,}" for status, n in answer["statuses"].items())
        early, late = answer["megabytes"][2], answer["megabytes"][-1]
        rows.append(
            [
                measured.program,
                f"{answer['requests']:,}",
                f"{answer['malformed_requests']:,}",
                str(answer["failures"]),
                statuses,
                str(answer["versions_served"] - 1),
                f"{early} to {late}",
                f"{measured.seconds:.0f}",
            ]
        )
    title = f"Requests of {CLIENTS} clients while versions are swapped"
    table = Table([*header, "MB in memory", "seconds"], rows)
    protocol.write("serving_load", title, conditions, runs, table)


if __name__ == "__main__":
    main()
