"""What a connection may take before its request is known, and by which names it may ask."""

import asyncio
import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
import tracemalloc
import zlib

import pytest

from apps import Mnist
from inference.request_errors import RequestError
from serving.http.codec import MAX_JSON_CONTAINERS, parse_object
from serving.http.hosts import AllowedHosts
from serving.http.inflating import MAX_GZIP_MEMBERS, decompress
from serving.http.limits import Limits
from serving.http.protocol import MAX_HEAD_BYTES
from serving.http.upgrade_filter import UpgradeFilter
from serving.server import Server, Settings

HEAD_SECONDS = 1.0
PIXELS = {"inputs": [[[[0]] * 8] * 8]}
PREDICT = "/v1/models/m:predict"


@pytest.fixture(scope="module")
def small(exported, tmp_path_factory):
    """A server that has room for three connections."""
    limits = Limits(
        max_concurrency=1, max_silent=2, max_body=2**16, head_seconds=HEAD_SECONDS, timeout=5
    )
    log, ready = tmp_path_factory.mktemp("small") / "log", threading.Event()
    server = Server([f"m={exported(Mnist).path}"], Settings(port=0, log=log, limits=limits))
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    assert ready.wait(60)
    yield server
    server.stop()
    thread.join(30)


@pytest.fixture
def connect(small):
    with contextlib.ExitStack() as kept:
        yield lambda: kept.enter_context(socket.create_connection(("127.0.0.1", small.port), 20))


def answer_of(connection):
    """All that is sent until the server closes; what was sent to it is thrown away then."""
    read = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(2**16):
            read += part
    return read


def ask(server, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST" if body else "GET", path, body, headers)
    response = connection.getresponse()
    found = response.status, response.read(), response.headers
    connection.close()
    return found


@pytest.mark.parametrize(
    "line", [b"x-%d: " % 1 + b"y" * 1000 + b"\r\n", b"z" * 1000], ids=["many", "one"]
)
def test_endless_headers_are_refused(line, connect, small):
    connection = connect()
    connection.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: localhost\r\nx: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            connection.sendall(line)
            sent += len(line)
    assert sent < 100 * MAX_HEAD_BYTES, "the server reads on"
    assert ask(small, "/v1/models/m")[0] == 200


def test_headers_that_are_too_large_are_answered(connect):
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (MAX_HEAD_BYTES + 2**17))
    head, _, body = answer_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body) == {"error": "The headers are larger than 65536 bytes"}


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /v1/models/m:predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
    ],
    ids=["TLS", "HTTP/2", "negative length", "no chunk"],
)
def test_what_is_no_http_is_answered_in_json(sent, connect, small):
    connection = connect()
    connection.sendall(sent)
    head, _, body = answer_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"application/json" in head
    assert "HTTP/1.1" in json.loads(body)["error"]
    assert ask(small, "/v1/models/m")[0] == 200


def test_a_body_behind_an_offer_of_http_2_is_read(small):
    """Java's client sends such an offer with its first request."""
    body = json.dumps(PIXELS).encode()
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMA"}
    status, answer, _ = ask(small, PREDICT, body, **headers)
    assert (status, answer) == ask(small, PREDICT, body)[:2]
    assert status == 200


def head_offering_http_2(body):
    lines = (
        f"POST {PREDICT} HTTP/1.1",
        "Host: localhost",
        "Connection: close, Upgrade",
        "Upgrade: h2c",
    )
    head = "\r\n".join((*lines, f"Content-Length: {len(body)}"))
    return head.encode() + b"\r\n\r\n"


def test_an_offer_of_http_2_may_arrive_in_two_segments(connect, small):
    body = json.dumps(PIXELS).encode()
    expected = ask(small, PREDICT, body)[1]
    request = head_offering_http_2(body) + body
    for place in (request.index(b"Upgrade: h2c") + part for part in (0, 3, 7, 9)):
        connection = connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request[:place])
        time.sleep(0.05)
        connection.sendall(request[place:])
        assert answer_of(connection).endswith(expected), place


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_an_upgrade_header_is_renamed_wherever_a_head_is_cut(size):
    body = b"{}\r\nUpgrade: h2c\r\n"
    request = head_offering_http_2(body) + body
    for _ in range(2):  # the second request of a connection too
        upgrades, sent, head_length = UpgradeFilter(), b"", len(request) - len(body)
        for start in range(0, head_length, size):
            sent += upgrades.filtered(request[start : min(start + size, head_length)])
        expected = request[:head_length].replace(b"\r\nUpgrade", b"\r\nx-Upgrade")
        assert sent + body == expected + body
    assert UpgradeFilter().filtered(request) == expected + body


def test_endless_trailers_are_refused(connect):
    """What may follow a body in chunks is no end either."""
    connection = connect()
    connection.sendall(
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nx: "
    )
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 100 * MAX_HEAD_BYTES:
            connection.sendall(b"y" * 1000)
            sent += 1000
    assert sent < 100 * MAX_HEAD_BYTES, "the server reads on"


def test_a_large_body_is_no_large_head(small):
    body = json.dumps({"inputs": PIXELS["inputs"] * 150}).encode()
    assert len(body) < 2**16
    for _ in range(3):
        status, answer, _ = ask(small, PREDICT, body)
        assert (status, len(json.loads(answer)["outputs"]["class"])) == (200, 150)


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost: local"], ids=["silent", "slow"])
def test_a_head_that_does_not_arrive_is_given_up(begin, connect):
    connection = connect()
    connection.sendall(begin)
    start = time.monotonic()
    assert answer_of(connection).startswith(b"HTTP/1.1 408 ")
    assert HEAD_SECONDS / 2 < time.monotonic() - start < 15


def test_silent_connections_keep_nobody_out(connect, small):
    silent = [connect() for _ in range(20)]
    for path in ("/v1/models/m", "/", "/healthz"):
        assert ask(small, path)[0] == 200
    assert len(small.rest.connections) <= 3
    assert answer_of(silent[0]) == b"", "it was silent longest"
    # One that has asked before, and is silent now, gives way too.
    kept = http.client.HTTPConnection("127.0.0.1", small.port, timeout=20)
    kept.request("GET", "/healthz")
    assert kept.getresponse().read()
    for _ in range(5):
        connect()
    assert ask(small, "/healthz")[0] == 200
    kept.close()


def test_where_all_are_answered_others_come_later(small, monkeypatch):
    monkeypatch.setattr(small.rest, "connections", range(4))
    for path in ("/v1/models/m", "/"):
        status, answer, headers = ask(small, path)
        assert status == 503
        told = {"error": "More than 3 connections at once; send it again soon"}
        assert json.loads(answer) == told
        assert headers["retry-after"] and headers["connection"] == "close"
    assert ask(small, "/healthz")[0] == 200


@pytest.mark.parametrize("path", ["/v1/models/m", "/v1/models", "/", "/metrics", "/healthz"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "localhost.evil.example"])
def test_another_host_is_refused(path, host, small):
    status, answer, _ = ask(small, path, Host=host)
    assert status == 421
    assert "--allow-host" in json.loads(answer)["error"]
    assert ask(small, path, Host="localhost:1")[0] == 200


def allows(host, given, *allowed):
    return AllowedHosts(host, allowed).allows([(b"host", given.encode())])


@pytest.mark.parametrize(
    ("host", "given", "taken"),
    [
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST.:80", True),
        ("127.0.0.1", "[::1]:8501", True),
        ("127.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("models.example", "Models.Example:8501", True),
        ("models.example", "other.example", False),
        ("0.0.0.0", "10.0.0.1:8501", True),
        ("::", "[fe80::1]:8501", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("127.0.0.1", "[0:0:0:0:0:0:0:1]:80", True),
        ("127.0.0.1", "[::ffff:127.0.0.1]", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "[::ffff:10.0.0.1]", False),
        ("127.0.0.1", "127.1", False),
        ("0.0.0.0", "[evil.example]", False),
    ],
)
def test_hosts(host, given, taken):
    assert allows(host, given) == taken
    assert allows(host, given, "*")
    assert allows(host, "proxy.example:443", "other.example", "Proxy.example")
    assert AllowedHosts(host).allows([])
    assert not AllowedHosts("127.0.0.1").allows(
        [(b"host", b"localhost"), (b"host", b"evil.example")]
    )


ZEROS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "x-gzip": gzip.compress,
    "identity": lambda body: body,
}


def raw_deflate(body):
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [*ZEROS.items(), ("deflate", raw_deflate)],
    ids=[*ZEROS, "raw deflate"],
)
def test_a_compressed_body_is_inflated(encoding, compress, small):
    body = json.dumps(PIXELS).encode()
    headers = {"Content-Encoding": encoding}
    status, answer, _ = ask(small, PREDICT, compress(body), **headers)
    assert (status, answer) == ask(small, PREDICT, body)[:2]
    assert status == 200


def chunked(body):
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [("gzip, chunked", gzip.compress, 200), ("br, chunked", bytes, 415)],
)
def test_a_body_may_be_compressed_by_its_transfer_encoding(
    encoding, content, status, connect, small
):
    body = json.dumps(PIXELS).encode()
    connection = connect()
    connection.sendall(
        f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Transfer-Encoding: {encoding}\r\n\r\n".encode()
        + chunked(content(body))
    )
    answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert status != 200 or answer.endswith(ask(small, PREDICT, body)[1])


def test_a_body_of_very_many_lists_is_refused_before_they_are_made():
    """16 MB of `[],` became lists of 340 MB."""
    body = b'{"instances": [' + b"[]," * MAX_JSON_CONTAINERS + b"[]]}"
    start = time.process_time()
    with pytest.raises(RequestError, match="lists and objects in a body"):
        parse_object(body)
    assert time.process_time() - start < 0.1
    assert len(parse_object(b'{"instances": [' + b"[]," * 1000 + b"[]]}")["instances"]) == 1001


def test_the_lists_and_objects_of_a_body_take_a_bounded_memory():
    """Objects of one key took 513 MB."""
    one = b'{"a":1},'
    body = b'{"instances":[' + one * (MAX_JSON_CONTAINERS - 3) + b"{}]}"
    tracemalloc.start()
    try:
        assert len(parse_object(body)["instances"]) == MAX_JSON_CONTAINERS - 2
        assert tracemalloc.get_traced_memory()[1] < 330e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "body", "status", "part"),
    [
        ("gzip", gzip.compress(b" " * 2**24), 413, "larger than"),
        ("deflate", zlib.compress(b" " * 2**24), 413, "larger than"),
        ("gzip", b"{}", 400, "not gzip"),
        ("gzip", gzip.compress(b"{}")[:-4], 400, "cut short"),
        ("gzip", gzip.compress(b"{}") + b"more", 400, "bytes behind"),
        ("br", b"{}", 415, "gzip, deflate"),
        ("gzip, gzip", b"{}", 415, "gzip, deflate"),
    ],
    ids=range(7),
)
def test_what_cannot_be_inflated_is_answered(encoding, body, status, part, small):
    found, answer, headers = ask(small, PREDICT, body, **{"Content-Encoding": encoding})
    assert found == status
    assert part in json.loads(answer)["error"]
    assert status != 415 or headers["accept-encoding"] == "gzip, deflate"


def test_members_of_gzip_are_joined():
    async def joined():
        body = gzip.compress(b"one ") + gzip.compress(b"two")
        return b"".join([part async for part in decompress(body, "gzip")])

    assert asyncio.run(joined()) == b"one two"


def test_a_body_of_very_many_members_is_refused():
    """What follows a member is copied: of 800,000 empty ones in 16 MB that took minutes."""

    async def all_of(body):
        return [part async for part in decompress(body, "gzip")]

    empty = gzip.compress(b"")
    assert asyncio.run(all_of(empty * MAX_GZIP_MEMBERS)) == [b""] * MAX_GZIP_MEMBERS
    with pytest.raises(RequestError, match="more than 1024 members"):
        asyncio.run(all_of(empty * (MAX_GZIP_MEMBERS + 1)))


def test_a_bomb_is_inflated_no_further_than_it_may_be():
    """Of 64 megabytes of zeros only the first slice is made."""

    async def first():
        return len(await anext(decompress(bomb, "gzip")))

    stream = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(stream.compress(bytes(2**20)) for _ in range(64)) + stream.flush()
    assert asyncio.run(first()) <= 2**18


def test_gzip_that_is_not_called_so_is_named(small):
    status, answer, _ = ask(small, PREDICT, gzip.compress(json.dumps(PIXELS).encode()))
    assert status == 400 and "Content-Encoding: gzip" in json.loads(answer)["error"]


def test_columns_of_different_lengths_are_named(served):
    columns = {name: [0.0, 1.0] for name in ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4")}
    body = json.dumps({"inputs": {**columns, "s5": [1.0], "s6": [0.0, 1.0]}})
    status, answer, _ = ask(served, "/v1/models/regression:predict", body)
    assert status == 400
    error = json.loads(answer)["error"]
    assert "age 2" in error and "s5 1" in error and "expected one length" in error
    pairs = {"user": ["a", "b"], "item": ["c"]}
    status, answer, _ = ask(served, "/v1/models/recommender:predict", json.dumps({"inputs": pairs}))
    assert status == 400 and b"item 1, user 2" in answer
