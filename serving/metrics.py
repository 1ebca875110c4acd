"""Counts and durations of requests for Prometheus, at /metrics."""

from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

BUCKETS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"namespace": "athanor", "registry": self.registry}
        self.requests = Counter(
            "requests", "Requests by model and status.", ["model", "status"], **own
        )
        self.seconds = Histogram(
            "request_seconds",
            "Seconds from the head of a request to its response.",
            ["model"],
            buckets=BUCKETS_SECONDS,
            **own,
        )
        self.in_flight = Gauge("in_flight_requests", "Requests in progress.", **own)
        self.version = Gauge("model_version", "The version that is served.", ["model"], **own)
        self.loads = Counter(
            "model_loads", "Loads of versions, by result.", ["model", "result"], **own
        )

    def record(self, model: str, status: int | str, seconds: float) -> None:
        """Count a request; `model` is the name of a served model, or empty."""
        self.requests.labels(model, status).inc()
        self.seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)
