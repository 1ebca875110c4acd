"""TensorFlow Serving's REST interface as an ASGI application."""

import asyncio
import re
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote

import orjson

from inference.artifacts import MAX_VERSION
from inference.request_errors import RequestError, invalid
from inference.servable import Servable
from serving.access_log import AccessLog
from serving.describing import describe_models, drift, metadata, status
from serving.http.codec import parse_object
from serving.http.hosts import AllowedHosts
from serving.http.inflating import ENCODINGS, decompress, encoding_of
from serving.http.limits import Limits
from serving.metrics import Metrics
from serving.request_executor import RequestExecutor
from serving.versions import Models

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MODEL_PATH = r"(?i:/v1/models/)([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
PREDICT_PATH = re.compile(MODEL_PATH + r":(?i:(classify|regress|predict))")
STATUS_PATH = re.compile(MODEL_PATH + r"(?:/(metadata|drift))?")
# Statuses of requests whose body was not read to its end: the connection closes.
UNREAD_STATUSES = (408, 413, 415, 421, 503)
JSON = (b"content-type", b"application/json")


class RequestTarget(NamedTuple):
    """The served model and version of a request, as far as they are known."""

    model: str
    version: int = 0


class RestResponse(NamedTuple):
    """A response, and its target and error for the access log."""

    status: int
    body: bytes
    target: RequestTarget
    error: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class BodySize:
    """Number of bytes of a body in memory, compressed and decompressed."""

    num_bytes = 0


class Rest:
    """Serves the paths under /v1/; another application serves all others.

    Attributes:
        in_flight: requests in progress.
        self_address: the address of the server's own warm-up requests, which are not logged.
        connections: all open connections.

    """

    self_address: tuple[str, int] | None = None
    connections: Collection[Any] = ()

    def __init__(
        self,
        executor: RequestExecutor,
        models: Models,
        limits: Limits,
        metrics: Metrics,
        access_log: AccessLog,
        other_paths: App,
        hosts: AllowedHosts,
    ) -> None:
        self._models, self._executor, self._limits = models, executor, limits
        self._metrics, self._access_log, self._other_paths = metrics, access_log, other_paths
        self._hosts = hosts
        self.in_flight = self._bytes = 0
        metrics.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
        crowded = len(self.connections) > self._limits.max_connections
        allowed = scope["type"] != "http" or self._hosts.allows(scope["headers"])
        # Health checks succeed even when there are too many connections.
        if allowed and path[:4].lower() != "/v1/" and (not crowded or path == "/healthz"):
            await self._other_paths(scope, receive, send)
            return
        start = time.perf_counter()
        self.in_flight += 1
        try:
            response = await self._respond(scope, path, receive, crowded)
        finally:
            self.in_flight -= 1
        length = (b"content-length", str(len(response.body)).encode())
        headers = [JSON, length, *response.headers]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        # After the response is sent: the client does not wait for the access log.
        asyncio.get_running_loop().call_soon(
            self._log_request, scope, path, response, time.perf_counter() - start
        )

    def _log_request(self, scope: Scope, path: str, response: RestResponse, seconds: float) -> None:
        if self.self_address and self.self_address == scope.get("client"):
            return
        self._metrics.record(response.target.model, response.status, seconds)
        fields: dict[str, Any] = {"error": response.error} if response.error else {}
        self._access_log.log(
            "request",
            method=scope["method"],
            path=path[:200],
            model=response.target.model,
            version=response.target.version,
            status=response.status,
            ms=round(seconds * 1000, 3),
            bytes=len(response.body),
            client=(scope.get("client") or ("",))[0],
            **fields,
        )

    async def _respond(
        self, scope: Scope, path: str, receive: Receive, crowded: bool
    ) -> RestResponse:
        target, body_size = RequestTarget(""), BodySize()
        try:
            if not self._hosts.allows(scope["headers"]):
                raise _misdirected(scope)
            if crowded:
                raise _too_many(f"{self._limits.max_connections} connections")
            if self.in_flight > self._limits.max_concurrency:
                raise _too_many(f"{self._limits.max_concurrency} requests")
            if scope["method"] == "GET" and path.rstrip("/").lower() == "/v1/models":
                return RestResponse(200, orjson.dumps(describe_models(self._models)), target)
            target, number, method = self._parse_target(scope["method"], path)
            model = self._models.find(target.model)
            if scope["method"] == "GET":
                describe = {"metadata": metadata, "drift": drift}.get(method, status)
                return RestResponse(200, describe(model, number), target)
            body = await self._body(scope, receive, body_size)
            with model.use(number) as servable:
                target = RequestTarget(model.name, servable.number)
                if method != "predict":
                    # In a thread, because a large body takes long to parse.
                    await self._executor.in_thread(
                        servable, lambda: _refuse(method, servable, body)
                    )
                return RestResponse(200, await self._executor.execute(servable, body), target)
        except RequestError as error:
            return _error_response(error, target)
        except Exception as error:
            trace = traceback.format_exc()
            self._access_log.log("failed", path=path[:200], error=repr(error), trace=trace)
            return _error_response(
                RequestError("INTERNAL", "internal error; the log says more"), target
            )
        finally:
            self._bytes -= body_size.num_bytes

    def _parse_target(self, method: str, path: str) -> tuple[RequestTarget, int | None, str]:
        """Return the model, the version and the method of a request. Raises RequestError."""
        pattern = {"POST": PREDICT_PATH, "GET": STATUS_PATH}.get(method)
        match = pattern.fullmatch(path) if pattern else None
        if match is None:
            raise invalid(f"Malformed request: {method} {path[:200]}")
        name, version, label, verb = match.groups()
        number = None if version is None else _number(version)
        if label is not None:
            raise invalid(f"Unrecognized servable version label: {unquote(label)}")
        rpc = (verb or "status").lower()
        return RequestTarget(self._models.find(unquote(name), number, rpc).name), number, rpc

    async def _body(self, scope: Scope, receive: Receive, body_size: BodySize) -> bytes:
        """Read a body. Raises RequestError if it is too large or too slow."""
        max_bytes, encoding = self._limits.max_body, encoding_of(scope["headers"])
        for name, value in scope["headers"]:
            # The last digits: `int` refuses numbers of thousands of digits.
            if name == b"content-length" and int(value[-30:]) > max_bytes:
                raise _too_large(max_bytes)
        try:
            async with asyncio.timeout(self._limits.timeout):
                body = await self._joined(_body_parts(receive), body_size)
                if not encoding:
                    return body
                return await self._joined(decompress(body, encoding), body_size)
        except TimeoutError:
            message = f"The body did not arrive within {self._limits.timeout:g} seconds"
            raise RequestError("DEADLINE_EXCEEDED", message, 408) from None

    async def _joined(self, parts: AsyncIterator[bytes], body_size: BodySize) -> bytes:
        """Join the parts of a body. Raises RequestError if there are too many bytes."""
        max_bytes, chunks, size = self._limits.max_body, list[bytes](), 0
        async for part in parts:
            chunks.append(part)
            size += len(part)
            body_size.num_bytes += len(part)
            self._bytes += len(part)
            if size > max_bytes:
                raise _too_large(max_bytes)
            if self._bytes > max(self._limits.max_bytes, max_bytes):
                raise _too_many(f"{self._limits.max_bytes / 2**20:g} MB")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _body_parts(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the parts of a body as they arrive. Raises RequestError."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("CANCELLED", "the client went away")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _number(version: str) -> int:
    """Parse the number of a version. Raises RequestError if it is too large."""
    digits = version.lstrip("0") or "0"
    if len(digits) > len(str(MAX_VERSION)) or int(digits) > MAX_VERSION:
        raise invalid(f"Failed to convert version: {version[:30]} to numeric.")
    return int(digits)


def _misdirected(scope: Scope) -> RequestError:
    host = b", ".join(value for name, value in scope["headers"] if name == b"host")
    return RequestError(
        "INVALID_ARGUMENT",
        f"Received a request for the host {host.decode('latin-1')[:100]!r}; expected a name of "
        "this server. To allow that name, start the server with --allow-host NAME.",
        421,
    )


def _too_large(max_bytes: int) -> RequestError:
    megabytes = f"{max_bytes / 2**20:g} MB"
    return RequestError("RESOURCE_EXHAUSTED", f"The body is larger than {megabytes}", 413)


def _too_many(limit: str) -> RequestError:
    return RequestError("UNAVAILABLE", f"More than {limit} at once; send the request again soon")


def _refuse(method: str, servable: Servable, body: bytes) -> NoReturn:
    """Refuse `classify` and `regress`, for which exports have no signature."""
    content = parse_object(body)
    examples, name = content.get("examples"), content.get("signature_name")
    if not isinstance(examples, list) or not examples:
        raise invalid(f"When method is {method}, key 'examples' is expected and was not found")
    if name is not None and not isinstance(name, str):
        raise invalid("Not formatted correctly. 'signature_name' key must be a string value.")
    signature_method = servable.signature(name).method
    wanted = f"tensorflow/serving/{method}"
    if signature_method != wanted:
        kind = {"classify": "classification", "regress": "regression"}[method]
        raise invalid(
            f"Expected {kind} signature method_name to be {wanted}. Was: {signature_method}"
        )
    raise RequestError("UNIMPLEMENTED", f"{method} is not supported; use predict")


def _error_response(error: RequestError, target: RequestTarget) -> RestResponse:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if error.status == 503:
        headers += ((b"retry-after", b"1"),)
    if error.status == 415:
        headers += ((b"accept-encoding", ENCODINGS.encode()),)
    if error.status in UNREAD_STATUSES:
        headers += ((b"connection", b"close"),)
    body = orjson.dumps({"error": error.message})
    return RestResponse(error.status, body, target, error.message, headers)
