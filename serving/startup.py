"""Checks the options of `athanor serve` before TensorFlow is imported, then starts the server."""

import importlib.util
import os
from collections.abc import Sequence

from inference.artifacts import versions
from serving.addresses import ServeError, addresses
from serving.options import ServeOptions
from training import provenance, startup

# Modules of the packages in the extra `serve`.
REQUIRED_MODULES = (
    "httptools",
    "orjson",
    "prometheus_client",
    "starlette",
    "tensorflow_serving",
    "uvicorn",
    "uvloop",
)


def start_tensorflow() -> None:
    """Start TensorFlow so that each session can have its own number of threads."""
    # TensorFlow reads it once; without it, all sessions share one thread pool.
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
    startup.start_tensorflow_without_keras()


def serve(runs: Sequence[str], options: ServeOptions) -> None:
    """Serve runs until the process receives a signal. Raises ServeError."""
    if missing := [name for name in REQUIRED_MODULES if not importlib.util.find_spec(name)]:
        raise ServeError(
            f"Received serve without {' and '.join(missing)}; expected the extra `serve`: "
            "pip install 'athanor[serve]'."
        )
    for one in addresses(runs):
        newest = one.directory / str(max(versions(one.directory)))
        provenance.require_signature(newest, provenance.EXPORT_FILES, trust=options.trust)
    start_tensorflow()
    from serving.http.limits import Limits
    from serving.server import Settings
    from serving.server import serve as run_server

    limits = Limits(int(options.max_body * 2**20), options.timeout, options.max_concurrency)
    run_server(
        runs,
        Settings(
            host=options.host,
            port=options.port,
            grpc_port=options.grpc_port,
            batch=options.batch,
            limits=limits,
            log=options.log,
            trust=options.trust,
            watch=options.watch,
            allow_host=options.allow_host,
        ),
    )
