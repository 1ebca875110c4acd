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
from serving.access_log import Journal
from serving.describing import about_all, metadata, status
from serving.http.codec import parsed
from serving.http.hosts import Hosts
from serving.http.inflating import ENCODINGS, encoding_of, inflated
from serving.http.protocol import HEAD_SECONDS
from serving.metrics import Metrics
from serving.request_executor import Asker
from serving.versions import Models

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WHICH = r"(?i:/v1/models/)([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
ASK = re.compile(WHICH + r":(?i:(classify|regress|predict))")
TELL = re.compile(WHICH + r"(?:/(metadata))?")
# Statuses of what was not read to its end: the rest would be read only to be thrown away.
UNREAD = (408, 413, 415, 421, 503)
JSON = (b"content-type", b"application/json")


class Limits(NamedTuple):
    """What one request may take, and how many at once.

    Attributes:
        max_bytes: of all bodies that are being read or answered; one of `max_body` fits always.
        max_silent: connections beside those that ask.

    """

    max_body: int = 16 * 2**20
    timeout: float = 30.0
    max_concurrency: int = 256
    max_bytes: int = 2**29
    max_silent: int = 512  # each takes a file, and a process has 1024
    head_seconds: float = HEAD_SECONDS

    @property
    def max_connections(self) -> int:
        """How many there may be in all."""
        return self.max_concurrency + self.max_silent


class Asked(NamedTuple):
    """Whom a request asked, as far as that is known."""

    model: str
    version: int = 0


class Answer(NamedTuple):
    """What is sent back, and what is told of it in the journal."""

    status: int
    body: bytes
    asked: Asked
    error: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Arriving:
    """How many bytes of the body of a request are held, compressed or not."""

    size = 0


class Rest:
    """Answers under /v1/; all other paths are another application's.

    Attributes:
        in_flight: requests that are being answered.
        own: the address from which the server itself asks, if it does: that is not told.
        connections: all that are open.

    """

    own: tuple[str, int] | None = None
    connections: Collection[Any] = ()

    def __init__(
        self,
        asker: Asker,
        models: Models,
        limits: Limits,
        metrics: Metrics,
        journal: Journal,
        other: App,
        hosts: Hosts,
    ) -> None:
        self._models, self._asker, self._limits = models, asker, limits
        self._metrics, self._journal, self._other = metrics, journal, other
        self._hosts = hosts
        self.in_flight = self._bytes = 0
        metrics.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
        crowded = len(self.connections) > self._limits.max_connections
        known = scope["type"] != "http" or self._hosts.takes(scope["headers"])
        # Whether all is well is answered also to the last who may ask.
        if known and path[:4].lower() != "/v1/" and (not crowded or path == "/healthz"):
            await self._other(scope, receive, send)
            return
        start = time.perf_counter()
        self.in_flight += 1
        try:
            answer = await self._answer(scope, path, receive, crowded)
        finally:
            self.in_flight -= 1
        length = (b"content-length", str(len(answer.body)).encode())
        headers = [JSON, length, *answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        # After it is sent: who asked does not wait for what we write down.
        asyncio.get_running_loop().call_soon(
            self._told, scope, path, answer, time.perf_counter() - start
        )

    def _told(self, scope: Scope, path: str, answer: Answer, seconds: float) -> None:
        if self.own and self.own == scope.get("client"):
            return
        self._metrics.answered(answer.asked.model, answer.status, seconds)
        facts: dict[str, Any] = {"error": answer.error} if answer.error else {}
        self._journal.tell(
            "request",
            method=scope["method"],
            path=path[:200],
            model=answer.asked.model,
            version=answer.asked.version,
            status=answer.status,
            ms=round(seconds * 1000, 3),
            bytes=len(answer.body),
            client=(scope.get("client") or ("",))[0],
            **facts,
        )

    async def _answer(self, scope: Scope, path: str, receive: Receive, crowded: bool) -> Answer:
        asked, arriving = Asked(""), Arriving()
        try:
            if not self._hosts.takes(scope["headers"]):
                raise _misdirected(scope)
            if crowded:
                raise _too_many(f"{self._limits.max_connections} connections")
            if self.in_flight > self._limits.max_concurrency:
                raise _too_many(f"{self._limits.max_concurrency} requests")
            if scope["method"] == "GET" and path.rstrip("/").lower() == "/v1/models":
                return Answer(200, orjson.dumps(about_all(self._models)), asked)
            asked, number, what = self._asked(scope["method"], path)
            model = self._models.find(asked.model)
            if scope["method"] == "GET":
                told = metadata if what == "metadata" else status
                return Answer(200, told(model, number), asked)
            body = await self._body(scope, receive, arriving)
            with model.held(number) as servable:
                asked = Asked(model.name, servable.number)
                if what != "predict":
                    # All of a body may have to be read to know what it asks.
                    await self._asker.in_thread(servable, lambda: _refuse(what, servable, body))
                return Answer(200, await self._asker.ask(servable, body), asked)
        except RequestError as error:
            return _failed(error, asked)
        except Exception as error:
            trace = traceback.format_exc()
            self._journal.tell("failed", path=path[:200], error=repr(error), trace=trace)
            return _failed(RequestError("INTERNAL", "internal error; the log says more"), asked)
        finally:
            self._bytes -= arriving.size

    def _asked(self, method: str, path: str) -> tuple[Asked, int | None, str]:
        """The model, the version and what is asked of it. Raises RequestError."""
        pattern = {"POST": ASK, "GET": TELL}.get(method)
        found = pattern.fullmatch(path) if pattern else None
        if found is None:
            raise invalid(f"Malformed request: {method} {path[:200]}")
        name, version, label, what = found.groups()
        number = None if version is None else _number(version)
        if label is not None:
            raise invalid(f"Unrecognized servable version label: {unquote(label)}")
        what = (what or "status").lower()
        return Asked(self._models.find(unquote(name), number, what).name), number, what

    async def _body(self, scope: Scope, receive: Receive, arriving: Arriving) -> bytes:
        """The body of a request. Raises RequestError where it is too large or too slow."""
        most, encoding = self._limits.max_body, encoding_of(scope["headers"])
        for name, value in scope["headers"]:
            # Python reads no number of thousands of digits.
            if name == b"content-length" and int(value[-30:]) > most:
                raise _too_large(most)
        try:
            async with asyncio.timeout(self._limits.timeout):
                body = await self._joined(_sent(receive), arriving)
                if not encoding:
                    return body
                return await self._joined(inflated(body, encoding), arriving)
        except TimeoutError:
            seconds = f"{self._limits.timeout:g} seconds"
            message_ = f"The body did not arrive within {seconds}"
            raise RequestError("DEADLINE_EXCEEDED", message_, 408) from None

    async def _joined(self, parts: AsyncIterator[bytes], arriving: Arriving) -> bytes:
        """All parts of a body. Raises RequestError where they are too many bytes."""
        most, found, size = self._limits.max_body, list[bytes](), 0
        async for part in parts:
            found.append(part)
            size += len(part)
            arriving.size += len(part)
            self._bytes += len(part)
            if size > most:
                raise _too_large(most)
            if self._bytes > max(self._limits.max_bytes, most):
                raise _too_many(f"{self._limits.max_bytes / 2**20:g} MB")
        return found[0] if len(found) == 1 else b"".join(found)


async def _sent(receive: Receive) -> AsyncIterator[bytes]:
    """The parts of a body as they arrive. Raises RequestError."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("CANCELLED", "the client went away")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _number(version: str) -> int:
    """The number of a version. Raises RequestError where it is none of TensorFlow Serving's."""
    digits = version.lstrip("0") or "0"
    if len(digits) > len(str(MAX_VERSION)) or int(digits) > MAX_VERSION:
        raise invalid(f"Failed to convert version: {version[:30]} to numeric.")
    return int(digits)


def _misdirected(scope: Scope) -> RequestError:
    given = b", ".join(value for name, value in scope["headers"] if name == b"host")
    return RequestError(
        "INVALID_ARGUMENT",
        f"Received a request for the host {given.decode('latin-1')[:100]!r}; expected a name of "
        "this server. Start it with --allow-host NAME if it is asked by that name.",
        421,
    )


def _too_large(most: int) -> RequestError:
    megabytes = f"{most / 2**20:g} MB"
    return RequestError("RESOURCE_EXHAUSTED", f"The body is larger than {megabytes}", 413)


def _too_many(most: str) -> RequestError:
    return RequestError("UNAVAILABLE", f"More than {most} at once; ask again soon")


def _refuse(what: str, servable: Servable, body: bytes) -> NoReturn:
    """Answer `classify` and `regress`, which no export of ours has a signature for."""
    asked = parsed(body)
    examples, name = asked.get("examples"), asked.get("signature_name")
    if not isinstance(examples, list) or not examples:
        raise invalid(f"When method is {what}, key 'examples' is expected and was not found")
    if name is not None and not isinstance(name, str):
        raise invalid("Not formatted correctly. 'signature_name' key must be a string value.")
    method = servable.signature(name).method
    wanted = f"tensorflow/serving/{what}"
    if method != wanted:
        kind = {"classify": "classification", "regress": "regression"}[what]
        raise invalid(f"Expected {kind} signature method_name to be {wanted}. Was: {method}")
    raise RequestError("UNIMPLEMENTED", f"{what} is not answered here; use predict")


def _failed(error: RequestError, asked: Asked) -> Answer:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if error.status == 503:
        headers += ((b"retry-after", b"1"),)
    if error.status == 415:
        headers += ((b"accept-encoding", ENCODINGS.encode()),)
    if error.status in UNREAD:
        headers += ((b"connection", b"close"),)
    body = orjson.dumps({"error": error.message})
    return Answer(error.status, body, asked, error.message, headers)
