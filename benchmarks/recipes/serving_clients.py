"""Send requests to a server with TensorFlow Serving's REST interface, over local sockets.

    python benchmarks/recipes/serving_clients.py --url http://HOST/v1/models/mnist:predict \
        --shape 28,28,1 --clients 4 --requests 4000 --seed 0

Each client is a connection that sends a request, waits for the answer, parses its JSON and sends
the next. One client is a plain blocking socket; several share an event loop. The requests are
encoded beforehand, as load generators do; `--encode` counts that too. Prints one JSON line.
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

WARMUP_SHARE = 0.1  # of the requests, not counted
NUM_OTHER_REQUESTS, NUM_PAUSES = 200, 20  # health requests in a pause, and pauses


def random_image(draw: random.Random, shape: list[int]) -> list:
    """Return random pixels as nested lists."""
    if not shape:
        return draw.randrange(256)  # type: ignore[return-value]
    return [random_image(draw, shape[1:]) for _ in range(shape[0])]


def request(url: urllib.parse.SplitResult, content: object) -> bytes:
    """Return all bytes of a request."""
    body = json.dumps({"instances": content}).encode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def shape_of(text: str) -> list[int]:
    """Parse comma-separated sizes."""
    return [int(size) for size in text.split(",")]


def length(head: bytes) -> int:
    """Return the number of bytes of the body."""
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


def require_answer(head: bytes) -> None:
    """Exit with the received bytes unless the status is 200."""
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"received {head[:200]!r}")


def send(connection: socket.socket, data: bytes) -> bytes:
    """Send a request; return the body of the answer."""
    connection.sendall(data)
    received = connection.recv(65536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    require_answer(head)
    while len(body) < length(head):
        body += connection.recv(65536)
    return body


class ClientTimes(NamedTuple):
    """Seconds of each request of one client, and of the requests after a pause."""

    each: list[float]
    paused: list[float]


def single_client(
    url: urllib.parse.SplitResult, contents: list, count: int, encode: bool
) -> ClientTimes:
    """Send requests by one client, one after the other."""
    prepared = [request(url, content) for content in contents]
    connection = socket.create_connection((url.hostname, url.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    health = f"GET /healthz HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()

    def send_others() -> None:
        for _ in range(NUM_OTHER_REQUESTS):
            json.loads(send(connection, health))

    def time_request(number: int) -> float:
        index = number % len(prepared)
        start = time.perf_counter()
        data = request(url, contents[index]) if encode else prepared[index]
        json.loads(send(connection, data))
        return time.perf_counter() - start

    # Warms up this process, but not the model: a slow first request is due to the server.
    send_others()
    each, paused = [time_request(number) for number in range(count)], []
    for number in range(NUM_PAUSES):
        send_others()
        paused.append(time_request(number))
    connection.close()
    return ClientTimes(each, paused)


async def concurrent_client(
    url: urllib.parse.SplitResult, prepared: list[bytes], count: int
) -> list[float]:
    """Return the seconds of each request of one of several clients."""
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    times = []
    for number in range(count):
        start = time.perf_counter()
        writer.write(prepared[number % len(prepared)])
        head = await reader.readuntil(b"\r\n\r\n")
        require_answer(head)
        json.loads(await reader.readexactly(length(head)))
        times.append(time.perf_counter() - start)
    writer.close()
    return times


async def all_clients(
    url: urllib.parse.SplitResult, contents: list, clients: int, count: int
) -> list[float]:
    """Return the seconds of each request of all clients."""
    prepared = [request(url, content) for content in contents]
    times = await asyncio.gather(*(concurrent_client(url, prepared, count) for _ in range(clients)))
    return [s for seconds in times for s in seconds[int(WARMUP_SHARE * len(seconds)) :]]


def main() -> None:
    """Send requests and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--shape", default="28,28,1")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--encode", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    url, draw = urllib.parse.urlsplit(options.url), random.Random(options.seed)
    contents = [[random_image(draw, shape_of(options.shape))] for _ in range(16)]
    if options.clients == 1:
        client_times = single_client(url, contents, options.requests, options.encode)
        first, times = (
            client_times.each[0],
            client_times.each[int(WARMUP_SHARE * len(client_times.each)) :],
        )
        more = {"paused": 1000 * statistics.median(client_times.paused)}
    else:
        import uvloop

        times = uvloop.run(
            all_clients(url, contents, options.clients, options.requests // options.clients)
        )
        first, more = times[0], {}
    rate = options.clients * len(times) / sum(times)  # each client waits for its answer
    times.sort()
    percentiles = {f"p{p}": 1000 * times[len(times) * p // 100] for p in (10, 50, 95, 99)}
    print(json.dumps({**percentiles, "first": 1000 * first, "rate": rate, **more}))


if __name__ == "__main__":
    main()
