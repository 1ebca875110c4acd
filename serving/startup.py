"""What `athanor serve` does before there is a server: mistakes are answered without TensorFlow."""

import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path

from inference.artifacts import versions
from serving.addresses import ServeError, addresses
from training import provenance, startup

# The extra `serve`, by the names of its modules.
NEEDED = (
    "httptools",
    "orjson",
    "prometheus_client",
    "starlette",
    "tensorflow_serving",
    "uvicorn",
    "uvloop",
)
LAST_PORT = 65535
LEAST = {"batch": 0.0, "max_body": 1e-3, "timeout": 1e-3, "max_concurrency": 1.0}


def tensorflow() -> None:
    """Start TensorFlow so that each session has the threads that it is told to have."""
    # Read once, when there are devices; without it all sessions share one pool, whatever they say.
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
    startup.without_keras()


def serve(
    runs: Sequence[str],
    *,
    host: str,
    port: int,
    grpc_port: int | None,
    batch: float,
    max_body: float,
    timeout: float,
    max_concurrency: int,
    log: Path | None,
    trust: bool,
    allow_host: Sequence[str] = (),
) -> None:
    """Serve runs until the process is told to end. Raises ServeError."""
    if missing := [name for name in NEEDED if not importlib.util.find_spec(name)]:
        raise ServeError(
            f"Received serve without {' and '.join(missing)}; expected the extra `serve`: "
            "pip install 'athanor[serve]'."
        )
    numbers = {
        "batch": batch,
        "max_body": max_body,
        "timeout": timeout,
        "max_concurrency": max_concurrency,
    }
    for name, number in numbers.items():
        if not LEAST[name] <= number < math.inf:
            flag, least = name.replace("_", "-"), f"a number of at least {LEAST[name]:g}"
            raise ServeError(f"Received --{flag} {number:g}; expected {least}.")
    if not host.strip():
        # To the system it means every network.
        raise ServeError("Received --host ''; expected an address of this machine, or 0.0.0.0.")
    for flag, place in (("--port", port), ("--grpc-port", grpc_port)):
        if place is not None and not 0 <= place <= LAST_PORT:
            raise ServeError(f"Received {flag} {place}; expected one of 0 to {LAST_PORT}.")
    for one in addresses(runs):
        newest = one.directory / str(max(versions(one.directory)))
        provenance.require(newest, provenance.EXPORT, trust=trust)
    tensorflow()
    from serving.http.rest import Limits
    from serving.server import Settings
    from serving.server import serve as served

    limits = Limits(int(max_body * 2**20), timeout, max_concurrency)
    served(
        runs,
        Settings(
            host, port, grpc_port, batch, limits, log, trust=trust, allow_host=tuple(allow_host)
        ),
    )
