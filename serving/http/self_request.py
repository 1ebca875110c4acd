"""Warm-up over HTTP: the server sends requests to itself before it is ready."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any

MAX_REPEATS = 20
MAX_SECONDS = 0.3  # for one path and body, because they delay the start of the server


class Connection:
    """A connection to a server of this machine.

    Attributes:
        address: the address of this client, as the server sees it.

    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]

    async def send(self, path: str, body: bytes | None) -> None:
        """Send a request and read its response. Raises OSError or EOFError."""
        method, content = ("GET", b"") if body is None else ("POST", body)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + content)
        response_head = await self._reader.readuntil(b"\r\n\r\n")
        length = response_head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))

    async def warm_up(self, requests: Iterable[tuple[str, bytes | None]]) -> None:
        """Send each request `MAX_REPEATS` times or for `MAX_SECONDS`. Raises OSError, EOFError."""
        for path, body in requests:
            end = time.monotonic() + MAX_SECONDS
            for _ in range(MAX_REPEATS):
                await self.send(path, body)
                if time.monotonic() > end:
                    break


@contextlib.asynccontextmanager
async def connect(host: str, port: int) -> Any:
    """Connect to a server that listens on this host."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    reader, writer = await asyncio.open_connection(address, port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
