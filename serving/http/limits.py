"""Limits of requests and connections of the server."""

from typing import NamedTuple

from serving.http.protocol import HEAD_SECONDS


class Limits(NamedTuple):
    """Limits of requests and connections.

    Attributes:
        max_body: bytes of one body.
        timeout: seconds for a body, and for a response.
        max_concurrency: requests in progress.
        max_bytes: of all bodies in memory; one body of `max_body` is always allowed.
        max_idle: idle connections.
        head_seconds: for the head of a request.

    """

    max_body: int = 16 * 2**20
    timeout: float = 30.0
    max_concurrency: int = 256
    max_bytes: int = 2**29
    max_idle: int = 512  # each takes one of 1024 file descriptors
    head_seconds: float = HEAD_SECONDS

    @property
    def max_connections(self) -> int:
        """The largest number of connections, busy or idle."""
        return self.max_concurrency + self.max_idle
