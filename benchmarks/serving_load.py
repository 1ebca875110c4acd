"""A hundred thousand requests while versions are swapped, and again with malformed ones.

    export TFDS_DATA_DIR=...     # where the prepared `mnist` lies
    python benchmarks/serving_load.py

Some ten minutes on two cores. `athanor serve` answers 16 connections of another process;
meanwhile 20 new versions are published, one after another at equal distances, each a copy
of the first. A request fails where its connection breaks, where a whole one is not
answered by 200 and a prediction, or where a malformed one is not answered by 4xx and a
message. The server's resident memory is read from /proc; it is compared from the first
tenth, after some swaps, to the end.
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
from recipes.serving_clients import length, picture, request, shape_of
from serving_latency import served, trained

CLIENTS, SWAPS = 16, 20
LONGEST = 1800.0  # seconds; whatever happens it ends


class Kind(NamedTuple):
    """A request: its bytes, and the statuses that may answer it."""

    data: bytes
    statuses: range


class Load:
    """What was asked and what came of it."""

    def __init__(self, count: int, share: float, seed: int) -> None:
        self.count, self.share = count, share
        self.draw = random.Random(seed)
        self.asked = self.malformed = 0
        self.statuses: dict[int, int] = {}
        self.failures: list[str] = []
        self.memory: list[float] = []

    def next(self, good: list[bytes], bad: list[bytes]) -> Kind | None:
        """The next request, as long as there are any."""
        if self.asked >= self.count:
            return None
        self.asked += 1
        if self.draw.random() < self.share:
            self.malformed += 1
            return Kind(self.draw.choice(bad), range(400, 500))
        return Kind(self.draw.choice(good), range(200, 201))

    def ended(self, kind: Kind, status: int, body: bytes) -> None:
        """Judge an answer."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        key = "predictions" if status == 200 else "error"
        try:
            told = json.loads(body)[key]
        except (ValueError, KeyError, TypeError):
            told = None
        if status not in kind.statuses or not told:
            self.failures.append(f"{status} {body[:200]!r} to {kind.data[-200:]!r}")


def malformed(url: SplitResult, one: Any) -> list[bytes]:
    """Requests that nobody can answer."""
    ragged = [one[0][:-1], *one[1:]]
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
    whole = request(url, [one])
    found = [request(url, content) for content in contents]
    for text in (b"{", b"[]", b'{"instances": [NaN]}', b"[" * 5000, b"\xff\xfe", b"{}"):
        head = f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n"
        found.append(head.encode() + text)
    for old, new in (
        (b":predict", b":guess"),
        (b"/v1/models/", b"/v1/models/un"),
        (b"POST", b"PUT"),
    ):
        found.append(whole.replace(old, new, 1))
    return found


async def client(url: SplitResult, load: Load, good: list[bytes], bad: list[bytes]) -> None:
    """One connection, from request to request."""
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
    """A copy of the first version as another one, whole at once."""
    beside = export / f".beside-{number}"
    shutil.copytree(export / "1", beside)
    beside.rename(export / str(number))


def resident(pid: int) -> float:
    """Megabytes that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def swaps(export: Path, load: Load, pid: int) -> None:
    """Publish versions at equal distances, and look at the memory."""
    for number in range(2, SWAPS + 2):
        while load.asked < load.count * (number - 1) / (SWAPS + 1):
            await asyncio.sleep(0.1)
        await asyncio.to_thread(publish, export, number)
        load.memory.append(resident(pid))


async def campaign(url: SplitResult, load: Load, export: Path, pid: int) -> None:
    """All requests, and all swaps meanwhile."""
    draw = random.Random(0)
    pictures = [picture(draw, shape_of("28,28,1")) for _ in range(64)]
    good = [request(url, [one]) for one in pictures]
    bad = malformed(url, pictures[0])
    async with asyncio.timeout(LONGEST):
        swapping = asyncio.create_task(swaps(export, load, pid))
        await asyncio.gather(*(client(url, load, good, bad) for _ in range(CLIENTS)))
        await swapping
    await asyncio.sleep(3)  # the last version is served, the one before unloaded
    load.memory.append(resident(pid))


def measured(run: Path, load: Load, name: str, seed: int) -> Run:
    """A campaign against a server of its own, and whether the last version is served at its end."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "mnist"
        shutil.copytree(run / "export" / "1", copy / "export" / "1")
        start = time.perf_counter()
        with served(copy, Path(place)) as (address, pid):
            url = urlsplit(address)
            asyncio.run(campaign(url, load, copy / "export", pid))
            events = [json.loads(line) for line in (Path(place) / "log").read_bytes().splitlines()]
        loaded = [one["version"] for one in events if one["event"] == "serving"]
        broken = [one for one in events if one["event"] in ("failed", "load failed")]
    for failure in load.failures[:5]:
        print(failure, file=sys.stderr)
    answer = {
        "requests": load.asked,
        "malformed": load.malformed,
        "failures": len(load.failures),
        "statuses": {str(status): n for status, n in sorted(load.statuses.items())},
        "versions_served": len(loaded),
        "faults_in_log": len(broken),
        "megabytes": [round(one) for one in load.memory],
    }
    seconds = time.perf_counter() - start
    print(f"{name}: {seconds:.0f} s  {answer}", file=sys.stderr)
    return Run(name, seed, round(seconds, 1), 0.0, None, answer)


def main() -> None:
    """Serve, ask, swap, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a run of mnist on 28 by 28 pixels, exported")
    parser.add_argument("--requests", type=int, default=100_000)
    given = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as place:
        run = given.run.resolve() if given.run else trained(Path(place))
        for seed, (name, share) in enumerate((("all whole", 0.0), ("5 % malformed", 0.05))):
            runs.append(measured(run, Load(given.requests, share, seed), name, seed))
    words = ("-m", "athanor", "serve", "RUN", "--port", "0")
    conditions = protocol.block([Program("server", words)], 1)
    conditions |= {"seeds": [one.seed for one in runs], "how": "after another"}
    header = ["requests", "number", "malformed", "failures", "answers by status", "swaps"]
    rows = []
    for one in runs:
        told = one.answer
        statuses = ", ".join(f"{status}: {n:,}" for status, n in told["statuses"].items())
        early, late = told["megabytes"][2], told["megabytes"][-1]
        rows.append(
            [
                one.program,
                f"{told['requests']:,}",
                f"{told['malformed']:,}",
                str(told["failures"]),
                statuses,
                str(told["versions_served"] - 1),
                f"{early} to {late}",
                f"{one.seconds:.0f}",
            ]
        )
    title = f"Requests of {CLIENTS} clients while versions are swapped"
    table = Table([*header, "MB in memory", "seconds"], rows)
    protocol.write("serving_load", title, conditions, runs, table)


if __name__ == "__main__":
    main()
