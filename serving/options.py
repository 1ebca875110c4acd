"""Options of `serve`."""

import dataclasses
from pathlib import Path

from apps import fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Addresses, limits and log of the server."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every network of this machine."""
    port: int = fields.bounded(8501, 0, 65536)
    """Port of HTTP; 0 takes a free one."""
    grpc_port: int | None = fields.bounded(None, 0, 65536)
    """Port of gRPC, which is off by default; 0 takes a free one."""
    batch: float = fields.bounded(0, 0)
    """Milliseconds to collect requests for one batch; 0 for no batches."""
    max_body: float = fields.bounded(16, 1e-3)
    """Maximum megabytes of a request; larger ones get status 413."""
    timeout: float = fields.bounded(30, 1e-3)
    """Maximum seconds for a response; then status 504."""
    max_concurrency: int = fields.bounded(256, 1)
    """Maximum number of requests at once; further ones get status 503."""
    log: Path | None = None
    """A file that gets a line of JSON for each request and event; standard error by default."""
    watch: bool = False
    """Count inputs and predictions, to compare them with the training examples in /metrics and
    /v1/models/NAME/drift."""
    trust: bool = False
    """Serve an export even if another user made it, or if it was changed since."""
    allow_host: tuple[str, ...] = ()
    """A further host name that requests may have, such as that of a proxy; may be repeated.
    Other names get status 421."""

    def __post_init__(self) -> None:
        fields.check(self)
        if not self.host.strip():
            # The operating system would listen on every network.
            raise fields.FieldError(
                "Received --host ''; expected an address of this machine, or 0.0.0.0."
            )
