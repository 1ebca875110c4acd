"""Limits of connections, heads, hosts and bodies over HTTP."""

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
    """A server that allows three connections."""
    limits = Limits(
        max_concurrency=1, max_idle=2, max_body=2**16, head_seconds=HEAD_SECONDS, timeout=5
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
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", small.port), 20))


def read_all(connection):
    """Return all that the server sends until it closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(2**16):
            received += part
    return received


def send(server, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST" if body else "GET", path, body, headers)
    response = connection.getresponse()
    result = response.status, response.read(), response.headers
    connection.close()
    return result


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
    assert sent < 100 * MAX_HEAD_BYTES, "the server still reads"
    assert send(small, "/v1/models/m")[0] == 200


def test_headers_that_are_too_large_get_status_431(connect):
    connection = connect()
    connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * (MAX_HEAD_BYTES + 2**17))
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
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
def test_other_protocols_get_an_error_in_json(sent, connect, small):
    connection = connect()
    connection.sendall(sent)
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"application/json" in head
    assert "HTTP/1.1" in json.loads(body)["error"]
    assert send(small, "/v1/models/m")[0] == 200


def test_a_body_after_an_offer_of_http_2_is_read(small):
    """Java's client sends such an offer with its first request."""
    body = json.dumps(PIXELS).encode()
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMA"}
    status, response, _ = send(small, PREDICT, body, **headers)
    assert (status, response) == send(small, PREDICT, body)[:2]
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
    expected = send(small, PREDICT, body)[1]
    request = head_offering_http_2(body) + body
    for place in (request.index(b"Upgrade: h2c") + part for part in (0, 3, 7, 9)):
        connection = connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request[:place])
        time.sleep(0.05)
        connection.sendall(request[place:])
        assert read_all(connection).endswith(expected), place


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_an_upgrade_header_is_renamed_wherever_a_head_is_split(size):
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
    """Trailers may follow a chunked body."""
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
    assert sent < 100 * MAX_HEAD_BYTES, "the server still reads"


def test_a_large_body_does_not_count_as_a_head(small):
    body = json.dumps({"inputs": PIXELS["inputs"] * 150}).encode()
    assert len(body) < 2**16
    for _ in range(3):
        status, response, _ = send(small, PREDICT, body)
        assert (status, len(json.loads(response)["outputs"]["class"])) == (200, 150)


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost: local"], ids=["silent", "slow"])
def test_a_head_that_does_not_arrive_gets_status_408(begin, connect):
    connection = connect()
    connection.sendall(begin)
    start = time.monotonic()
    assert read_all(connection).startswith(b"HTTP/1.1 408 ")
    assert HEAD_SECONDS / 2 < time.monotonic() - start < 15


def test_silent_connections_exclude_no_other(connect, small):
    silent = [connect() for _ in range(20)]
    for path in ("/v1/models/m", "/", "/healthz"):
        assert send(small, path)[0] == 200
    assert len(small.rest.connections) <= 3
    assert read_all(silent[0]) == b"", "it was idle longest"
    # A connection that is idle after a request is replaced too.
    idle = http.client.HTTPConnection("127.0.0.1", small.port, timeout=20)
    idle.request("GET", "/healthz")
    assert idle.getresponse().read()
    for _ in range(5):
        connect()
    assert send(small, "/healthz")[0] == 200
    idle.close()


def test_too_many_connections_get_status_503(small, monkeypatch):
    monkeypatch.setattr(small.rest, "connections", range(4))
    for path in ("/v1/models/m", "/"):
        status, response, headers = send(small, path)
        assert status == 503
        expected = {"error": "More than 3 connections at once; send the request again soon"}
        assert json.loads(response) == expected
        assert headers["retry-after"] and headers["connection"] == "close"
    assert send(small, "/healthz")[0] == 200


@pytest.mark.parametrize("path", ["/v1/models/m", "/v1/models", "/", "/metrics", "/healthz"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "localhost.evil.example"])
def test_another_host_is_refused(path, host, small):
    status, response, _ = send(small, path, Host=host)
    assert status == 421
    assert "--allow-host" in json.loads(response)["error"]
    assert send(small, path, Host="localhost:1")[0] == 200


def allows(host, header, *allowed):
    return AllowedHosts(host, allowed).allows([(b"host", header.encode())])


@pytest.mark.parametrize(
    ("host", "header", "allowed"),
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
def test_allowed_hosts(host, header, allowed):
    assert allows(host, header) == allowed
    assert allows(host, header, "*")
    assert allows(host, "proxy.example:443", "other.example", "Proxy.example")
    assert AllowedHosts(host).allows([])
    assert not AllowedHosts("127.0.0.1").allows(
        [(b"host", b"localhost"), (b"host", b"evil.example")]
    )


ENCODINGS = {
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
    [*ENCODINGS.items(), ("deflate", raw_deflate)],
    ids=[*ENCODINGS, "raw deflate"],
)
def test_a_compressed_body_is_decompressed(encoding, compress, small):
    body = json.dumps(PIXELS).encode()
    headers = {"Content-Encoding": encoding}
    status, response, _ = send(small, PREDICT, compress(body), **headers)
    assert (status, response) == send(small, PREDICT, body)[:2]
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
    response = read_all(connection)
    assert response.startswith(b"HTTP/1.1 %d " % status), response
    assert status != 200 or response.endswith(send(small, PREDICT, body)[1])


def test_a_body_of_too_many_lists_is_refused_before_it_is_parsed():
    """16 MB of `[],` took 340 MB as Python lists."""
    body = b'{"instances": [' + b"[]," * MAX_JSON_CONTAINERS + b"[]]}"
    start = time.process_time()
    with pytest.raises(RequestError, match="lists and objects in a body"):
        parse_object(body)
    assert time.process_time() - start < 0.1
    assert len(parse_object(b'{"instances": [' + b"[]," * 1000 + b"[]]}")["instances"]) == 1001


def test_the_lists_and_objects_of_a_body_take_bounded_memory():
    """Objects with one key took 513 MB."""
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
def test_a_body_that_cannot_be_decompressed_is_refused(encoding, body, status, part, small):
    actual, response, headers = send(small, PREDICT, body, **{"Content-Encoding": encoding})
    assert actual == status
    assert part in json.loads(response)["error"]
    assert status != 415 or headers["accept-encoding"] == "gzip, deflate"


def test_the_members_of_a_gzip_body_are_joined():
    async def joined():
        body = gzip.compress(b"one ") + gzip.compress(b"two")
        return b"".join([part async for part in decompress(body, "gzip")])

    assert asyncio.run(joined()) == b"one two"


def test_a_body_of_too_many_gzip_members_is_refused():
    """zlib copies the rest of the body after each member: 800,000 empty ones took minutes."""

    async def all_of(body):
        return [part async for part in decompress(body, "gzip")]

    empty = gzip.compress(b"")
    assert asyncio.run(all_of(empty * MAX_GZIP_MEMBERS)) == [b""] * MAX_GZIP_MEMBERS
    with pytest.raises(RequestError, match="more than 1024 members"):
        asyncio.run(all_of(empty * (MAX_GZIP_MEMBERS + 1)))


def test_a_compression_bomb_is_decompressed_slice_by_slice():
    """Only the first slice of 64 megabytes of zeros is in memory."""

    async def first():
        return len(await anext(decompress(bomb, "gzip")))

    stream = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(stream.compress(bytes(2**20)) for _ in range(64)) + stream.flush()
    assert asyncio.run(first()) <= 2**18


def test_gzip_without_its_header_is_recognised(small):
    status, response, _ = send(small, PREDICT, gzip.compress(json.dumps(PIXELS).encode()))
    assert status == 400 and "Content-Encoding: gzip" in json.loads(response)["error"]


def test_columns_of_different_lengths_are_reported(served):
    columns = {name: [0.0, 1.0] for name in ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4")}
    body = json.dumps({"inputs": {**columns, "s5": [1.0], "s6": [0.0, 1.0]}})
    status, response, _ = send(served, "/v1/models/regression:predict", body)
    assert status == 400
    error = json.loads(response)["error"]
    assert "age 2" in error and "s5 1" in error and "expected one length" in error
    pairs = {"user": ["a", "b"], "item": ["c"]}
    status, response, _ = send(
        served, "/v1/models/recommender:predict", json.dumps({"inputs": pairs})
    )
    assert status == 400 and b"item 1, user 2" in response
