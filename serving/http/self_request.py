"""The server asks itself by HTTP: nobody else's request is the first on any part of the way."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any

TIMES = 20
SECONDS = 0.3  # for one path and body: a server that starts is waited for


class Connection:
    """A connection to a server of this machine.

    Attributes:
        address: the end of who asks, as the server sees it.

    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]

    async def ask(self, path: str, body: bytes | None) -> None:
        """Send a request, and read its answer whatever it is. Raises OSError or EOFError."""
        method, content = ("GET", b"") if body is None else ("POST", body)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + content)
        answered = await self._reader.readuntil(b"\r\n\r\n")
        length = answered.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await self._reader.readexactly(int(length))

    async def rehearse(self, asked: Iterable[tuple[str, bytes | None]]) -> None:
        """Ask each path with its body again and again. Raises OSError or EOFError."""
        for path, body in asked:
            end = time.monotonic() + SECONDS
            for _ in range(TIMES):
                await self.ask(path, body)
                if time.monotonic() > end:
                    break


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> Any:
    """A connection to a server that listens at this host."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    reader, writer = await asyncio.open_connection(own, port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
