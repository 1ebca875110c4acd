"""Limits of gRPC connections: their number, idle time, and time for a message.

gRPC has no such limits by default, and its threads wait for a message without end.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

MAX_CONNECTIONS = 128  # in addition to those of HTTP: each takes one of 1024 file descriptors
MAX_STREAMS = 100  # concurrent requests of one connection; the client queues more
MAX_IDLE_SECONDS = 75  # clients reconnect by themselves
MAX_AGE_SECONDS = 600  # ends connections whose client does not read a response
GRACE_SECONDS = 60  # for the last requests of a connection that is too old


def options(head_seconds: float, max_body: int) -> list[tuple[str, int]]:
    """Return the options of a server; a connection has `head_seconds` for its HTTP/2 handshake."""
    return [
        ("grpc.max_receive_message_length", max_body),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.server_handshake_timeout_ms", int(head_seconds * 1000)),
        ("grpc.max_connection_idle_ms", MAX_IDLE_SECONDS * 1000),
        ("grpc.max_connection_age_ms", MAX_AGE_SECONDS * 1000),
        ("grpc.max_connection_age_grace_ms", GRACE_SECONDS * 1000),
    ]


class MessageDeadline(grpc.ServerInterceptor):
    """Cancels requests whose message does not arrive in time.

    Args:
        seconds: for a message.
        on_timeout: called with the method of a cancelled request.

    """

    def __init__(self, seconds: float, on_timeout: Callable[[str], None]) -> None:
        self._seconds, self._on_timeout = seconds, on_timeout

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Return the handler of a method."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def respond(messages: Iterator[bytes], context: Any) -> Any:
            message = self._message(messages, context, details.method)
            try:
                request = handler.request_deserializer(message)
            except DecodeError:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The message cannot be parsed")
            return handler.unary_unary(request, context)

        # The request is a stream of bytes: else gRPC would read the message without a deadline.
        return grpc.stream_unary_rpc_method_handler(respond, None, handler.response_serializer)

    def _message(self, messages: Iterator[bytes], context: Any, method: str) -> bytes:
        timer = threading.Timer(self._seconds, self._cancel, [context, method])
        timer.daemon = True
        timer.start()
        try:
            message = next(messages, None)
        finally:
            timer.cancel()
        if message is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request has no message")
        return message or b""

    def _cancel(self, context: Any, method: str) -> None:
        context.cancel()
        self._on_timeout(method)
