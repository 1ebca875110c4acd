"""`athanor serve`: models over HTTP and gRPC until the process is told to end."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import uvicorn
import uvloop

from inference.servable import Servable
from serving.access_log import Journal
from serving.addresses import Address, ServeError, addresses
from serving.batching import Batcher
from serving.http.hosts import Hosts
from serving.http.protocol import Room, bounded
from serving.http.rest import Limits, Rest
from serving.http.self_request import connected
from serving.http.web import other_paths
from serving.loading import load
from serving.metrics import Metrics
from serving.request_executor import Asker
from serving.versions import Model, Models
from serving.warmup import in_json
from training import provenance

KEPT = 75  # seconds that a connection may be silent: whoever asks just then would get no answer
GRACE = 10  # seconds that requests have to end in when the server is told to
SWITCH = 0.001  # seconds that a thread which loads a version may keep the one that answers waiting


class NothingServedError(RuntimeError):
    """A model of which no version can be served at all."""

    exit_status = 1


class Settings(NamedTuple):
    """How to serve.

    Attributes:
        port: 0 for any that is free.
        grpc_port: None for no gRPC; 0 for any that is free.
        batch: milliseconds to gather requests in; 0 for each by itself.
        log: a file for the journal; standard error by default.
        every: seconds between two looks for new versions.
        trust: whether to load what somebody else exported, or changed.
        allow_host: names by which it is asked besides those of `host`, see serving.http.hosts.

    """

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = None
    batch: float = 0.0
    limits: Limits = Limits()
    log: Path | None = None
    every: float = 1.0
    trust: bool = False
    allow_host: tuple[str, ...] = ()


class Server:
    """Loaded models and what answers for them.

    Raises ServeError where something is asked for that cannot be, and
    NothingServedError where a model has no version that can be loaded.
    """

    def __init__(self, asked: Sequence[str], settings: Settings) -> None:
        found = addresses(asked)
        self.settings = settings
        self.journal, self.metrics = _journal(settings.log), Metrics()
        self.models = Models([], settings.every, self.journal.tell)
        with contextlib.ExitStack() as undone:
            undone.callback(self.journal.close)
            self._socket = undone.enter_context(bound(settings.host, settings.port))
            self.port: int = self._socket.getsockname()[1]
            undone.callback(self.models.stop)
            # Libraries stay: nobody needs to look through them for garbage again. Models do not.
            gc.collect()
            gc.freeze()
            for one in found:
                self.models.by_name[one.name] = self._model(one)
            undone.pop_all()
        threads = max(2, os.cpu_count() or 2)
        seconds, timeout = settings.batch / 1000, settings.limits.timeout
        self._batcher = (
            Batcher(seconds=seconds, threads=threads, timeout=timeout) if seconds else None
        )
        self._asker = Asker(timeout=timeout, threads=threads, batcher=self._batcher)
        other = other_paths(self.models, self.metrics, self.journal.tell)
        hosts = Hosts(settings.host, settings.allow_host)
        self.rest = Rest(
            self._asker, self.models, settings.limits, self.metrics, self.journal, other, hosts
        )
        config = uvicorn.Config(
            self.rest,
            http=bounded(Room(settings.limits.max_connections, settings.limits.head_seconds)),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=KEPT,
        )
        self._uvicorn = Uvicorn(config)
        # Uvicorn's own limit is told in words that are no JSON.
        self.rest.connections = self._uvicorn.server_state.connections
        self._grpc: Any = None
        self.grpc_port: int | None = None

    def _model(self, address: Address) -> Model:
        def trusted(directory: Path, number: int) -> Servable:
            provenance.require_signature(
                directory, provenance.EXPORT_FILES, trust=self.settings.trust
            )
            return load(directory, number)

        def tell(event: str, **facts: Any) -> None:
            self.journal.tell(event, **facts)
            if event in ("serving", "load failed"):
                self.metrics.loads.labels(address.name, event).inc()
            if event == "serving":
                self.metrics.version.labels(address.name).set(facts["version"])

        model = Model(address, trusted, tell)
        model.refresh()
        if model.current is None:
            reason = model.statuses()[0]
            raise NothingServedError(
                f"Could not serve version {reason.version} in {address.directory}: "
                f"{reason.message} Export the run again: athanor APP export RUN."
            )
        return model

    def urls(self) -> list[str]:
        """A line for each model: name, version, where it is asked."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return [
            f"{model.name}  version {model.current.number}  "
            f"http://{host}:{self.port}/v1/models/{model.name}:predict"
            for model in self.models.by_name.values()
            if model.current
        ]

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is called, or SIGTERM or SIGINT arrives; then end what has begun."""
        self.journal.keep()
        try:
            if self.settings.grpc_port is not None:
                from serving import grpc_service

                asking = grpc_service.Asking(
                    self.models, self.settings.limits, self.metrics, self.journal
                )
                self._grpc, self.grpc_port = grpc_service.started(
                    asking, self.settings.host, self.settings.grpc_port
                )
            uvloop.run(self._serve(ready))
        finally:
            self._close()

    async def _serve(self, ready: Callable[[], None]) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        self.models.start()
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
        while not self._uvicorn.started and not serving.done():
            await asyncio.sleep(0.01)
        await self._first_requests()
        ready()
        await serving

    async def _first_requests(self) -> None:
        """Warm the way through HTTP too, untold and uncounted: nobody asked."""
        asked: list[tuple[str, bytes | None]] = [("/healthz", None)]
        for name, model in self.models.by_name.items():
            bodies = in_json(model.current) if model.current else ()
            asked += ((f"/v1/models/{quote(name)}:predict", body) for body in bodies)
        with contextlib.suppress(OSError, EOFError):
            async with connected(self.settings.host, self.port) as connection:
                self.rest.own = connection.address
                await connection.rehearse(asked)
        self.rest.own = None

    def stop(self) -> None:
        """Take no more requests, and end when those in flight are answered."""
        self._uvicorn.force_exit = self._uvicorn.should_exit  # when told twice
        self._uvicorn.should_exit = True

    def _close(self) -> None:
        self._socket.close()
        if self._grpc:
            self._grpc.stop(GRACE).wait()
        self._asker.close()
        if self._batcher:
            self._batcher.close()
        self.models.stop()
        self.journal.close()


class Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: they would end the process by the signal itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to who runs the loop."""
        yield


def _journal(path: Path | None) -> Journal:
    try:
        return Journal(path)
    except OSError as error:
        raise ServeError(
            f"Received --log {str(path)!r}: {error.strerror}; expected a file to write to."
        ) from error


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises ServeError where none can."""
    if not 0 <= port <= 65535:
        raise ServeError(f"Received the port {port}; expected one of 0 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ServeError(
            f"Received --host {host} --port {port}, where nothing can listen "
            f"({error.strerror or error}); expected a free port of this machine, such as --port 0."
        ) from error
    return listening


def serve(asked: Sequence[str], settings: Settings) -> None:
    """Serve models until the process is told to end."""
    sys.setswitchinterval(SWITCH)
    server = Server(asked, settings)

    def ready() -> None:
        lines = server.urls()
        if server.grpc_port is not None:
            lines.append(f"gRPC  {settings.host}:{server.grpc_port}")
        print("\n".join(lines), flush=True)

    server.run(ready)
