"""An HTTP protocol with limits on the head of a request.

Uvicorn and its parser have no such limits: one connection could fill the memory with headers, and
idle connections could exclude all others.
"""

from asyncio import TimerHandle, Transport
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.http.upgrade_filter import UpgradeFilter

MAX_HEAD_BYTES = 2**16  # of an incomplete head, or of trailers
HEAD_SECONDS = 10.0  # for the head of a request


class ConnectionLimits(NamedTuple):
    """Limits of connections and of the heads of requests."""

    connections: int
    head_seconds: float = HEAD_SECONDS
    head_bytes: int = MAX_HEAD_BYTES


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which refuses heads that are too large or too slow.

    When there are too many connections, a new one replaces the one that has been idle longest.
    If all others are busy, the new one gets status 503.
    """

    limits = ConnectionLimits(connections=2**31)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the timer for the head."""
        super().connection_made(transport)
        self._num_pending_bytes, self._delivered, self._in_head = 0, False, True
        self._upgrades = UpgradeFilter()
        self._last_received = self.loop.time()
        self._head_timer: TimerHandle | None = None
        self._start_timer()
        if len(self.connections) > self.limits.connections:
            _close_longest_idle(self.connections, keep=self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def is_busy(self) -> bool:
        """Whether a request is in progress."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the parser and check the limits of the head."""
        self._delivered, self._last_received = False, self.loop.time()
        super().data_received(data if self._in_body else self._upgrades.filtered(data))
        # The parser keeps bytes that it has not delivered.
        self._num_pending_bytes = 0 if self._delivered else self._num_pending_bytes + len(data)
        if self.transport.is_closing():
            return
        if self._num_pending_bytes > self.limits.head_bytes:
            self._refuse(431, f"The headers are larger than {self.limits.head_bytes} bytes")
        elif self._in_head:
            self._start_timer()
        else:
            self._stop_timer()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - no JSON
        """Refuse bytes that are not HTTP."""
        message = "The request is not valid HTTP/1.1"
        if self._in_body and not self.cycle.response_started:
            self.cycle.disconnected = True  # the application sends no further response
            self.transport.write(refusal(400, message))
        self._refuse(400, message)

    @property
    def _in_body(self) -> bool:
        """Whether the body of a request has begun and not ended."""
        return not self._in_head and self.is_busy and self.cycle.more_body

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._in_head, self._delivered = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the parser delivered a part of the body."""
        self._delivered = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._delivered = True
        super().on_message_complete()

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(
                self.limits.head_seconds, self._refuse_slow_head
            )

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_slow_head(self) -> None:
        self._refuse(408, f"The headers did not arrive within {self.limits.head_seconds:g} seconds")

    def _refuse(self, status: int, message: str) -> None:
        self._stop_timer()
        if not self.is_busy:  # else a part of an earlier response may be sent already
            self.transport.write(refusal(status, message))
        self.transport.close()


def refusal(status: int, message: str) -> bytes:
    """Return the response that ends a connection."""
    body = orjson.dumps({"error": message})
    head = (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


def _close_longest_idle(connections: Iterable[Any], keep: BoundedProtocol) -> None:
    idle = [one for one in connections if one is not keep and not one.is_busy]
    if idle:
        longest = min(idle, key=lambda one: one._last_received)
        longest.connections.discard(longest)  # now: it would count until the event loop closes it
        longest.transport.abort()


def protocol_class(limits: ConnectionLimits) -> type[BoundedProtocol]:
    """Return a protocol class with these limits."""
    return type("Protocol", (BoundedProtocol,), {"limits": limits})
