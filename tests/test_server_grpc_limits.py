"""Limits of gRPC connections, and the end of those that take too long."""

import contextlib
import socket
import threading
import time

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2

from serving import grpc_limits, grpc_service
from serving.http.limits import Limits

SECONDS = 1.0  # time limit of a message, and of an idle connection
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
MESSAGE = get_model_status_pb2.GetModelStatusRequest(
    model_spec={"name": "mnist"}
).SerializeToString()
MAX_CONNECTIONS = 3


@pytest.fixture(scope="module")
def small(served):
    """The port of a server that allows three connections."""
    handler = grpc_service.RequestHandler(
        served.models,
        Limits(timeout=SECONDS, head_seconds=SECONDS),
        served.metrics,
        served.access_log,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(grpc_limits, "MAX_CONNECTIONS", MAX_CONNECTIONS)
        patched.setattr(grpc_limits, "MAX_IDLE_SECONDS", int(SECONDS))
        server, port = grpc_service.start_server(handler, "127.0.0.1", 0)
    yield port
    server.stop(0).wait()


@pytest.fixture
def connect(small):
    """A function that opens a channel, which connects with its first request."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(
            grpc.insecure_channel(f"127.0.0.1:{small}", options=OWN_CONNECTION)
        )


def send(channel, body=MESSAGE, seconds=20):
    """Return the bytes of the response."""
    return channel.unary_unary(STATUS)(body, timeout=seconds, wait_for_ready=True)


def closed(connection):
    """Wait until the server closes a connection."""
    connection.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while connection.recv(2**16):
            pass
    return True


def test_silent_connections_are_limited_and_closed(small, connect):
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", small), 20))
            for _ in range(10 * MAX_CONNECTIONS)
        ]
        start = time.monotonic()
        assert all(map(closed, silent[MAX_CONNECTIONS:]))
        assert all(map(closed, silent[:MAX_CONNECTIONS]))
        assert time.monotonic() - start < 15
        assert send(connect())


def test_idle_connections_are_closed(connect):
    channels = [connect() for _ in range(MAX_CONNECTIONS)]
    assert all(map(send, channels))
    start = time.monotonic()
    assert send(connect())
    assert time.monotonic() - start > SECONDS / 4, "there was no limit of connections"
    assert send(channels[0]), "a client reconnects by itself"


def test_messages_that_do_not_arrive_delay_no_other(connect):
    """Each kept a thread for ever: after four such requests gRPC did not respond."""
    may_send = threading.Event()

    def late():
        may_send.wait(60)
        yield MESSAGE

    slow, quick = connect(), connect()
    assert send(quick)
    calls = [slow.stream_unary(STATUS).future(late()) for _ in range(8)]
    start = time.monotonic()
    assert send(quick)
    assert time.monotonic() - start < SECONDS / 2
    for call in calls:
        with pytest.raises(grpc.RpcError):
            call.result(timeout=20)
        assert call.code() == grpc.StatusCode.CANCELLED
    more = [slow.stream_unary(STATUS).future(late()) for _ in range(grpc_service.MAX_THREADS)]
    assert send(quick), "it waits until those are cancelled"
    may_send.set()
    for call in more:
        call.cancel()


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05a"], ids=["garbage", "truncated"])
def test_an_invalid_message_is_an_invalid_argument(body, connect):
    with pytest.raises(grpc.RpcError) as error:
        send(connect(), body)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be parsed" in error.value.details()
    with pytest.raises(grpc.RpcError) as error:
        connect().stream_unary(STATUS)(iter(()), timeout=20, wait_for_ready=True)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
