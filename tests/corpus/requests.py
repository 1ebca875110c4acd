"""Invalid HTTP requests, and requests for unknown paths, as bytes."""

PREDICT = "/v1/models/mnist:predict"
END = "\r\n\r\n"


def head(line: str, *headers: str) -> bytes:
    """Return the head of a request."""
    return ("\r\n".join([line, "Host: localhost", *headers]) + END).encode("latin-1")


def post(body: bytes, *headers: str, path: str = PREDICT) -> bytes:
    """Return a complete request of `predict`."""
    return head(f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *headers) + body


def get(path: str) -> bytes:
    """Return a complete request for a path."""
    return head(f"GET {path} HTTP/1.1", "Connection: close")


# By name: what is sent before the client ends its half of the connection.
REQUESTS = {
    "nothing": b"",
    "a line break": b"\r\n",
    "garbage": b"\x00\xff\xfe garbage\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30),
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/9.9": head("GET /healthz HTTP/9.9"),
    "half of a line": b"GET /v1/mod",
    "no host": b"GET /v1/models/mnist HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": head("GET /v1/models/mnist HTTP/1.1", "Host: other", "Connection: close"),
    "no method": head(" /v1/models/mnist HTTP/1.1"),
    "an unknown method": head("BREW /v1/models/mnist HTTP/1.1", "Connection: close"),
    "a method of 10,000 letters": head("G" * 10_000 + " / HTTP/1.1"),
    "CONNECT": head("CONNECT example.org:443 HTTP/1.1"),
    "TRACE": head("TRACE /v1/models/mnist HTTP/1.1", "Connection: close"),
    "an address instead of a path": head("GET http://example.org/v1/models HTTP/1.1"),
    "a path of 100,000 letters": head(f"GET /{'a' * 100_000} HTTP/1.1"),
    "a header of 100,000 letters": head("GET / HTTP/1.1", f"X: {'a' * 100_000}"),
    "10,000 headers": head("GET /healthz HTTP/1.1", *(f"X-{k}: {k}" for k in range(10_000))),
    "a header without a name": head("GET /healthz HTTP/1.1", ": nothing"),
    "a header without a value": head("GET /healthz HTTP/1.1", "Nothing"),
    "a header in two lines": head("GET /healthz HTTP/1.1", "X: a\r\n b", "Connection: close"),
    "NUL in a header": head("GET /healthz HTTP/1.1", "X: a\0b"),
    "lines ended by LF": b"GET /v1/models/mnist HTTP/1.1\nHost: a\nConnection: close\n\n",
    "lines ended by CR": b"GET /v1/models/mnist HTTP/1.1\rHost: a\r\r",
    "a length that is none": head(f"POST {PREDICT} HTTP/1.1", "Content-Length: many"),
    "a negative length": head(f"POST {PREDICT} HTTP/1.1", "Content-Length: -1"),
    "a fraction of a length": head(f"POST {PREDICT} HTTP/1.1", "Content-Length: 1.5"),
    "a length beyond 64 bits": head(f"POST {PREDICT} HTTP/1.1", f"Content-Length: {10**30}"),
    "a length of 2**63": head(f"POST {PREDICT} HTTP/1.1", f"Content-Length: {2**63}"),
    "a length beyond the limit": head(f"POST {PREDICT} HTTP/1.1", f"Content-Length: {2**40}"),
    "a length in other digits": head(f"POST {PREDICT} HTTP/1.1", "Content-Length: \xb2"),
    "two lengths": post(b"{}", "Content-Length: 50"),
    "a length and chunks": post(b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    "fewer bytes than the length": post(b"{}", "X: y").replace(b"Length: 2", b"Length: 200"),
    "more bytes than the length": post(b"{}") + b'{"instances": []}',
    "chunks without end": head(f"POST {PREDICT} HTTP/1.1", "Transfer-Encoding: chunked")
    + b"2\r\n{}",
    "a chunk of no length": head(f"POST {PREDICT} HTTP/1.1", "Transfer-Encoding: chunked")
    + b"x\r\n",
    "a chunk beyond 64 bits": (
        head(f"POST {PREDICT} HTTP/1.1", "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n{}"
    ),
    "a negative chunk": head(f"POST {PREDICT} HTTP/1.1", "Transfer-Encoding: chunked") + b"-1\r\n",
    "an unknown encoding": post(b"{}", "Transfer-Encoding: gzip"),
    "a body that says it is packed": post(b"\x1f\x8b\x08\0garbage", "Content-Encoding: gzip"),
    "a body of another type": post(b"a=b", "Content-Type: application/x-www-form-urlencoded"),
    "an expectation that is none": post(b"{}", "Expect: everything"),
    "an upgrade": head(
        "GET /healthz HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"
    ),
    "garbage after a request": get("/v1/models/mnist") + b"\0\xff garbage\r\n\r\n",
    "garbage between requests": (
        head("GET /healthz HTTP/1.1") + b"garbage\r\n\r\n" + get("/v1/models/mnist")
    ),
    "requests within a body": post(get("/metrics")) + get("/healthz"),
    "a thousand requests at once": head("GET /v1/models/mnist HTTP/1.1") * 1000,
    "a path above": get("/../../../../etc/passwd"),
    "a path above, encoded": get("/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    "a path above, encoded twice": get("/%252e%252e/%252e%252e/etc/passwd"),
    "a path above, with backslashes": get("/..\\..\\etc\\passwd"),
    "a path above for a model": get("/v1/models/..%2f..%2fetc"),
    "a path above for a version": get("/v1/models/mnist/versions/../../etc"),
    "NUL in a path": get("/v1/models/mnist%00.json"),
    "half of an escape": get("/v1/models/%e"),
    "a path that is no UTF-8": get("/v1/models/%ff%fe"),
    "a path of raw bytes": get("/v1/models/\xff\xfe"),
    "spaces in a path": get("/v1/models/a b"),
    "a version of a thousand digits": get(f"/v1/models/mnist/versions/{'9' * 1000}"),
    "a version in other digits": get("/v1/models/mnist/versions/%D9%A1"),
    "a negative version": get("/v1/models/mnist/versions/-1"),
    "a query of 50,000 letters": get(f"/v1/models/mnist?{'a=b&' * 12_500}"),
    "a file of the page that is none": get("/page/../server.py"),
    "the file of the key": get("/~/.config/athanor/key"),
}
