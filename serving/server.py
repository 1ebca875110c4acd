"""`athanor serve`: serves models over HTTP and gRPC until the process receives a signal."""

import asyncio
import contextlib
import functools
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
from serving.access_log import AccessLog
from serving.addresses import Address, ServeError, addresses
from serving.batching import Batcher
from serving.http.hosts import AllowedHosts
from serving.http.limits import Limits
from serving.http.protocol import ConnectionLimits, protocol_class
from serving.http.rest import Rest
from serving.http.self_request import connect
from serving.http.web import web_app
from serving.loading import load
from serving.metrics import Metrics
from serving.request_executor import RequestExecutor
from serving.versions import Model, Models
from serving.warmup import json_requests
from serving.watch import Counting, DriftCollector, watch_of, watches_of
from training import provenance

# Long, because a request that arrives while the server closes its connection gets no response.
KEEP_ALIVE_SECONDS = 75  # for idle connections
SHUTDOWN_SECONDS = 10  # for requests in progress
# A thread that loads a version delays responses by at most this time.
SWITCH_INTERVAL_SECONDS = 0.001


class NothingServedError(RuntimeError):
    """No version of a model can be loaded."""

    exit_status = 1


class Settings(NamedTuple):
    """Settings of a server.

    Attributes:
        port: 0 for a free one.
        grpc_port: None for no gRPC; 0 for a free one.
        batch: milliseconds to collect requests for one batch; 0 for no batches.
        log: a file for the access log; standard error by default.
        refresh_seconds: between two searches for new versions.
        trust: whether to load untrusted or changed exports.
        watch: whether to compare requests with the training examples.
        allow_host: further names that Host headers may have, see serving.http.hosts.

    """

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = None
    batch: float = 0.0
    limits: Limits = Limits()
    log: Path | None = None
    refresh_seconds: float = 1.0
    trust: bool = False
    allow_host: tuple[str, ...] = ()
    watch: bool = False


class Server:
    """Loads models and serves them over HTTP and gRPC.

    Raises ServeError for wrong addresses and options, and NothingServedError for a model without
    a version that can be loaded.
    """

    def __init__(self, runs: Sequence[str], settings: Settings) -> None:
        model_addresses = addresses(runs)
        self.settings = settings
        self.access_log, self.metrics = _open_access_log(settings.log), Metrics()
        self.models = Models([], settings.refresh_seconds, self.access_log.log)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self.access_log.close)
            self._socket = cleanup.enter_context(listening_socket(settings.host, settings.port))
            self.port: int = self._socket.getsockname()[1]
            cleanup.callback(self.models.stop)
            # Objects of libraries stay until the end, so the garbage collector may skip them. Those
            # of models, which are loaded below, do not.
            gc.collect()
            gc.freeze()
            for address in model_addresses:
                self.models.by_name[address.name] = self._model(address)
            cleanup.pop_all()
        self._watches = functools.partial(watches_of, self.models.by_name)
        self._counting = Counting(self._watches)
        if settings.watch:
            self.metrics.registry.register(DriftCollector(self._watches))
        threads = max(2, os.cpu_count() or 2)
        seconds, timeout = settings.batch / 1000, settings.limits.timeout
        self._batcher = (
            Batcher(seconds=seconds, threads=threads, timeout=timeout) if seconds else None
        )
        self._executor = RequestExecutor(timeout=timeout, threads=threads, batcher=self._batcher)
        other_paths = web_app(self.models, self.metrics, self.access_log.log)
        hosts = AllowedHosts(settings.host, settings.allow_host)
        self.rest = Rest(
            self._executor,
            self.models,
            settings.limits,
            self.metrics,
            self.access_log,
            other_paths,
            hosts,
        )
        config = uvicorn.Config(
            self.rest,
            http=protocol_class(
                ConnectionLimits(settings.limits.max_connections, settings.limits.head_seconds)
            ),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._uvicorn = Uvicorn(config)
        # Uvicorn's own limit would respond without JSON.
        self.rest.connections = self._uvicorn.server_state.connections
        self._grpc: Any = None
        self.grpc_port: int | None = None

    def _model(self, address: Address) -> Model:
        def load_trusted(directory: Path, number: int) -> Servable:
            provenance.require_signature(
                directory, provenance.EXPORT_FILES, trust=self.settings.trust
            )
            servable = load(directory, number)
            if self.settings.watch:
                servable.watch = watch_of(directory)
                if servable.watch is None:
                    self.access_log.log("not watched", model=address.name, version=number)
            return servable

        def log(event: str, **fields: Any) -> None:
            self.access_log.log(event, **fields)
            if event in ("serving", "load failed"):
                self.metrics.loads.labels(address.name, event).inc()
            if event == "serving":
                self.metrics.version.labels(address.name).set(fields["version"])

        model = Model(address, load_trusted, log)
        model.refresh()
        if model.current is None:
            newest = model.statuses()[0]
            raise NothingServedError(
                f"Could not serve version {newest.version} in {address.directory}: "
                f"{newest.message} Export the run again: athanor APP export RUN."
            )
        if self.settings.watch and model.current.watch is None:
            raise NothingServedError(
                f"Received --watch for {address.name}, whose export in {address.directory} has no "
                "counts of its training examples; expected an export of a run that was evaluated. "
                "Evaluate the run, and export it again: athanor evaluate RUN, athanor export RUN."
            )
        return model

    @property
    def root(self) -> str:
        """The URL of the web page."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}/"

    def urls(self) -> list[str]:
        """Return a line for each model: name, version and URL."""
        return [
            f"{model.name}  version {model.current.number}  "
            f"{self.root}v1/models/{model.name}:predict"
            for model in self.models.by_name.values()
            if model.current
        ]

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`, SIGTERM or SIGINT; then finish the requests in progress."""
        self.access_log.start()
        try:
            if self.settings.grpc_port is not None:
                from serving import grpc_service

                handler = grpc_service.RequestHandler(
                    self.models, self.settings.limits, self.metrics, self.access_log
                )
                self._grpc, self.grpc_port = grpc_service.start_server(
                    handler, self.settings.host, self.settings.grpc_port
                )
            uvloop.run(self._serve(ready))
        finally:
            self._close()

    async def _serve(self, ready: Callable[[], None]) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        self.models.start()
        if self.settings.watch:
            self._counting.start()
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]))
        while not self._uvicorn.started and not serving.done():
            await asyncio.sleep(0.01)
        await self._warm_up_http()
        ready()
        await serving

    async def _warm_up_http(self) -> None:
        """Send warm-up requests over HTTP, which are neither logged nor counted."""
        requests: list[tuple[str, bytes | None]] = [("/healthz", None)]
        for name, model in self.models.by_name.items():
            bodies = json_requests(model.current) if model.current else ()
            requests += ((f"/v1/models/{quote(name)}:predict", body) for body in bodies)
        with contextlib.suppress(OSError, EOFError):
            async with connect(self.settings.host, self.port) as connection:
                self.rest.self_address = connection.address
                await connection.warm_up(requests)
        self.rest.self_address = None
        for watch in self._watches().values():
            watch.clear()

    def stop(self) -> None:
        """Stop accepting requests, and end after those in progress."""
        self._uvicorn.force_exit = self._uvicorn.should_exit  # a second call ends at once
        self._uvicorn.should_exit = True

    def _close(self) -> None:
        self._socket.close()
        if self._grpc:
            self._grpc.stop(SHUTDOWN_SECONDS).wait()
        self._executor.close()
        if self._batcher:
            self._batcher.close()
        self._counting.stop()
        self.models.stop()
        self.access_log.close()


class Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers, which would end the process with the signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `Server`."""
        yield


def _open_access_log(path: Path | None) -> AccessLog:
    try:
        return AccessLog(path)
    except OSError as error:
        raise ServeError(
            f"Received --log {str(path)!r}: {error.strerror}; expected a file to write to."
        ) from error


def listening_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises ServeError if the address is not available."""
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


def serve(runs: Sequence[str], settings: Settings) -> None:
    """Serve models until the process receives a signal."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    server = Server(runs, settings)

    def ready() -> None:
        lines = [*server.urls(), f"page  {server.root}"]
        if server.grpc_port is not None:
            lines.append(f"gRPC  {settings.host}:{server.grpc_port}")
        print("\n".join(lines), flush=True)

    server.run(ready)
