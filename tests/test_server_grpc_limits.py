"""What connections over gRPC may take, and what becomes of those that take too long."""

import contextlib
import socket
import threading
import time

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2

from serving import grpc_limits, grpc_service
from serving.http.limits import Limits

SECONDS = 1.0  # for what is awaited, and for silence
ALONE = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
ASKED = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "mnist"}).SerializeToString()
ROOM = 3


@pytest.fixture(scope="module")
def small(served):
    """The port of a server that has room for three connections."""
    handler = grpc_service.RequestHandler(
        served.models,
        Limits(timeout=SECONDS, head_seconds=SECONDS),
        served.metrics,
        served.access_log,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(grpc_limits, "MAX_CONNECTIONS", ROOM)
        patched.setattr(grpc_limits, "MAX_IDLE_SECONDS", int(SECONDS))
        server, port = grpc_service.start_server(handler, "127.0.0.1", 0)
    yield port
    server.stop(0).wait()


@pytest.fixture
def connect(small):
    """A function that opens a channel, which connects by its first request."""
    with contextlib.ExitStack() as kept:
        yield lambda: kept.enter_context(grpc.insecure_channel(f"127.0.0.1:{small}", options=ALONE))


def ask(channel, body=ASKED, seconds=20):
    """The bytes of an answer."""
    return channel.unary_unary(STATUS)(body, timeout=seconds, wait_for_ready=True)


def closed(connection):
    """Whether the server has closed a connection that it sends nothing else to."""
    connection.settimeout(20)
    with contextlib.suppress(ConnectionError):
        while connection.recv(2**16):
            pass
    return True


def test_silent_connections_have_an_end_and_a_number(small, connect):
    with contextlib.ExitStack() as kept:
        silent = [
            kept.enter_context(socket.create_connection(("127.0.0.1", small), 20))
            for _ in range(10 * ROOM)
        ]
        start = time.monotonic()
        assert all(map(closed, silent[ROOM:]))
        assert all(map(closed, silent[:ROOM]))
        assert time.monotonic() - start < 15
        assert ask(connect())


def test_connections_that_have_asked_give_way_when_they_are_idle(connect):
    held = [connect() for _ in range(ROOM)]
    assert all(map(ask, held))
    start = time.monotonic()
    assert ask(connect())
    assert time.monotonic() - start > SECONDS / 4, "there was no bound"
    assert ask(held[0]), "a client connects anew by itself"


def test_bodies_that_do_not_arrive_keep_nobody_waiting(connect):
    """Each took a thread for ever: of four such requests gRPC was silent."""
    over = threading.Event()

    def never():
        over.wait(60)
        yield ASKED

    slow, quick = connect(), connect()
    assert ask(quick)
    calls = [slow.stream_unary(STATUS).future(never()) for _ in range(8)]
    start = time.monotonic()
    assert ask(quick)
    assert time.monotonic() - start < SECONDS / 2
    for call in calls:
        with pytest.raises(grpc.RpcError):
            call.result(timeout=20)
        assert call.code() == grpc.StatusCode.CANCELLED
    more = [slow.stream_unary(STATUS).future(never()) for _ in range(grpc_service.MAX_THREADS)]
    assert ask(quick), "it waits until those are given up"
    over.set()
    for call in more:
        call.cancel()


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05a"], ids=["garbage", "cut"])
def test_what_is_no_message_is_the_mistake_of_the_client(body, connect):
    with pytest.raises(grpc.RpcError) as error:
        ask(connect(), body)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be parsed" in error.value.details()
    with pytest.raises(grpc.RpcError) as error:
        connect().stream_unary(STATUS)(iter(()), timeout=20, wait_for_ready=True)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
