"""Clients of a server of TensorFlow Serving's REST interface, over sockets of this machine.

    python benchmarks/recipes/serving_clients.py --url http://HOST/v1/models/mnist:predict \
        --shape 28,28,1 --clients 4 --requests 4000 --seed 0

Each client is a connection that asks, waits for the answer, reads its JSON and asks again.
One client is a plain blocking socket; several share an event loop. The requests are encoded
beforehand, as load generators do it; `--encode` counts that too. Prints one JSON line.
"""

import argparse
import asyncio
import json
import random
import socket
import statistics
import time
import urllib.parse
from typing import NamedTuple

WARM = 0.1  # of the requests, not counted
OTHERS, PAUSES = 200, 20  # requests of something else, and how often they come between


def picture(draw: random.Random, shape: list[int]) -> list:
    """Nested lists of bytes."""
    if not shape:
        return draw.randrange(256)  # type: ignore[return-value]
    return [picture(draw, shape[1:]) for _ in range(shape[0])]


def request(url: urllib.parse.SplitResult, content: object) -> bytes:
    """All bytes of a request."""
    body = json.dumps({"instances": content}).encode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def shape_of(text: str) -> list[int]:
    """Sizes with commas between."""
    return [int(size) for size in text.split(",")]


def length(head: bytes) -> int:
    """How many bytes the body has."""
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def require_answer(head: bytes) -> None:
    """Exit with what was received where it is no answer."""
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"received {head[:200]!r}")


def answer(connection: socket.socket, data: bytes) -> bytes:
    """The body of the answer to a request."""
    connection.sendall(data)
    given = connection.recv(65536)
    while b"\r\n\r\n" not in given:
        given += connection.recv(65536)
    head, _, body = given.partition(b"\r\n\r\n")
    require_answer(head)
    while len(body) < length(head):
        body += connection.recv(65536)
    return body


class Alone(NamedTuple):
    """Seconds of each request of one client, and of those after as many others as the first."""

    each: list[float]
    paused: list[float]


def alone(url: urllib.parse.SplitResult, contents: list, count: int, encode: bool) -> Alone:
    """One client asks, and asks again."""
    prepared = [request(url, content) for content in contents]
    connection = socket.create_connection((url.hostname, url.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    health = f"GET /healthz HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()

    def others() -> None:
        for _ in range(OTHERS):
            json.loads(answer(connection, health))

    def asked(place: int) -> float:
        which = place % len(prepared)
        start = time.perf_counter()
        data = request(url, contents[which]) if encode else prepared[which]
        json.loads(answer(connection, data))
        return time.perf_counter() - start

    # This process has asked before, though no model: a slow first request is the server's.
    others()
    each, paused = [asked(place) for place in range(count)], []
    for place in range(PAUSES):
        others()
        paused.append(asked(place))
    connection.close()
    return Alone(each, paused)


async def client(url: urllib.parse.SplitResult, prepared: list[bytes], count: int) -> list[float]:
    """Seconds of each request of one of several clients."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    times = []
    for place in range(count):
        start = time.perf_counter()
        writer.write(prepared[place % len(prepared)])
        head = await reader.readuntil(b"\r\n\r\n")
        require_answer(head)
        json.loads(await reader.readexactly(length(head)))
        times.append(time.perf_counter() - start)
    writer.close()
    return times


async def together(
    url: urllib.parse.SplitResult, contents: list, clients: int, count: int
) -> list[float]:
    """Seconds of each request of all clients."""
    prepared = [request(url, content) for content in contents]
    found = await asyncio.gather(*(client(url, prepared, count) for _ in range(clients)))
    return [one for times in found for one in times[int(WARM * len(times)) :]]


def main() -> None:
    """Ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--shape", default="28,28,1")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--encode", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    url, draw = urllib.parse.urlsplit(given.url), random.Random(given.seed)
    contents = [[picture(draw, shape_of(given.shape))] for _ in range(16)]
    if given.clients == 1:
        found = alone(url, contents, given.requests, given.encode)
        first, times = found.each[0], found.each[int(WARM * len(found.each)) :]
        more = {"paused": 1000 * statistics.median(found.paused)}
    else:
        import uvloop

        times = uvloop.run(together(url, contents, given.clients, given.requests // given.clients))
        first, more = times[0], {}
    rate = given.clients * len(times) / sum(times)  # each asks when it was answered
    times.sort()
    percentiles = {f"p{p}": 1000 * times[len(times) * p // 100] for p in (10, 50, 95, 99)}
    print(json.dumps({**percentiles, "first": 1000 * first, "rate": rate, **more}))


if __name__ == "__main__":
    main()
