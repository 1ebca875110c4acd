"""What connections over gRPC may take: how many, how long they are silent, how slow a body is.

gRPC has no such limits by itself, and its threads wait for a body as long as the client likes.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

MAX_CONNECTIONS = 128  # beside those of HTTP: each takes a file, and a process has 1024
MAX_STREAMS = 100  # requests of one connection at once; more wait at the client
IDLE_SECONDS = 75  # that a connection may be silent; clients connect anew by themselves
AGE_SECONDS = 600  # so that an answer that nobody reads is not kept for ever
GRACE_SECONDS = 60  # for the requests of a connection of that age


def options(head_seconds: float, max_body: int) -> list[tuple[str, int]]:
    """The options of a server; a connection has `head_seconds` to begin to speak HTTP/2."""
    return [
        ("grpc.max_receive_message_length", max_body),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.server_handshake_timeout_ms", int(head_seconds * 1000)),
        ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
        ("grpc.max_connection_age_ms", AGE_SECONDS * 1000),
        ("grpc.max_connection_age_grace_ms", GRACE_SECONDS * 1000),
    ]


class BodiesInTime(grpc.ServerInterceptor):
    """Reads the message of each request, which is cancelled where that does not arrive in time.

    Args:
        seconds: for a message.
        tell: is called with the method of a request that is given up.

    """

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        self._seconds, self._tell = seconds, tell

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a method."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(messages: Iterator[bytes], context: Any) -> Any:
            read = self._message(messages, context, details.method)
            try:
                request = handler.request_deserializer(read)
            except DecodeError:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The message cannot be parsed")
            return handler.unary_unary(request, context)

        # As a stream of bytes, for only that is given to a handler before it is read.
        return grpc.stream_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _message(self, messages: Iterator[bytes], context: Any, method: str) -> bytes:
        late = threading.Timer(self._seconds, self._give_up, [context, method])
        late.daemon = True
        late.start()
        try:
            found = next(messages, None)
        finally:
            late.cancel()
        if found is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request has no message")
        return found or b""

    def _give_up(self, context: Any, method: str) -> None:
        context.cancel()
        self._tell(method)
