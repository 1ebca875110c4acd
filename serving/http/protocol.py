"""HTTP on a connection, with limits on what comes before the body of a request.

Uvicorn and its parser have none: one connection could fill the memory with headers, and silent
connections could take every place.
"""

from asyncio import TimerHandle, Transport
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.upgrade_filter import UpgradeFilter

MAX_HEAD_BYTES = 2**16  # that may wait for the end of a head, or of what follows a body
HEAD_SECONDS = 10.0  # for the head of a request


class Room(NamedTuple):
    """How many connections there may be, and how long a head may take."""

    connections: int
    head_seconds: float = HEAD_SECONDS
    head_bytes: int = MAX_HEAD_BYTES


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which refuses heads that are endless in bytes or in time.

    Where there is no more room, a new connection takes the place of the one that has been
    silent longest; only where all others are being answered it is answered that it came too
    late.
    """

    room = Room(connections=2**31)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._held, self._delivered, self._in_head = 0, False, True
        self._upgrades = UpgradeFilter()
        self._since = self.loop.time()
        self._late: TimerHandle | None = None
        self._wait()
        if len(self.connections) > self.room.connections:
            _close_the_most_silent(self.connections, besides=self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def asks(self) -> bool:
        """Whether a request is being answered, or waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        self._delivered, self._since = False, self.loop.time()
        super().data_received(data if self._in_body else self._upgrades.filtered(data))
        # What the parser gave away is counted there; what it keeps grows without end.
        self._held = 0 if self._delivered else self._held + len(data)
        if self.transport.is_closing():
            return
        if self._held > self.room.head_bytes:
            self._refuse(431, f"The headers are larger than {self.room.head_bytes} bytes")
        elif self._in_head:
            self._wait()
        else:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - no JSON
        """Some bytes are not those of a request."""
        message = "The request is not in HTTP/1.1 that can be read"
        if self._in_body and not self.cycle.response_started:
            self.cycle.disconnected = True  # nothing else is sent to the one that asks
            self.transport.write(refusal(400, message))
        self._refuse(400, message)

    @property
    def _in_body(self) -> bool:
        """Whether the body of a request has begun and not ended."""
        return not self._in_head and self.asks and self.cycle.more_body

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._in_head, self._delivered = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body is there."""
        self._delivered = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._delivered = True
        super().on_message_complete()

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.room.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._refuse(408, f"The headers did not arrive within {self.room.head_seconds:g} seconds")

    def _refuse(self, status: int, message: str) -> None:
        self._stop_waiting()
        if not self.asks:  # else the answer to an earlier request may be half sent
            self.transport.write(refusal(status, message))
        self.transport.close()


def refusal(status: int, message: str) -> bytes:
    """The answer to a request of which no more is read."""
    body = orjson.dumps({"error": message})
    head = (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


def _close_the_most_silent(connections: Iterable[Any], besides: BoundedProtocol) -> None:
    silent = [one for one in connections if one is not besides and not one.asks]
    if silent:
        longest = min(silent, key=lambda one: one._since)
        longest.connections.discard(longest)  # now: it would count until the loop closes it
        longest.transport.abort()


def bounded(room: Room) -> type[BoundedProtocol]:
    """The protocol of a server that has this room."""
    return type("Protocol", (BoundedProtocol,), {"room": room})
