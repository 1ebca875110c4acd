"""Paths besides TensorFlow Serving's interface: health, metrics and the web page."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.metrics import Metrics
from serving.versions import LogEvent, Models


def web_app(models: Models, metrics: Metrics, log: LogEvent) -> Starlette:
    """Return the application for /healthz, /metrics and the web page."""
    from serving.http import static

    async def healthz(_: Request) -> Response:
        """Report whether every model is served, and its version."""
        current = {name: model.current for name, model in models.by_name.items()}
        versions = {name: one.number if one else None for name, one in current.items()}
        status = 503 if None in versions.values() else 200
        message = "ok" if status == 200 else "not all models are served"
        return JSONResponse({"status": message, "models": versions}, status)

    async def metrics_text(_: Request) -> Response:
        """Return all metrics in Prometheus's text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    async def internal_error(request: Request, error: Exception) -> Response:
        log("failed", path=request.url.path[:200], error=repr(error))
        return JSONResponse({"error": "internal error; the log says more"}, 500)

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/metrics", metrics_text), *static.routes()],
        exception_handlers={HTTPException: _refused, Exception: internal_error},
    )


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    text = f"{error.detail}: {request.method} {request.url.path[:200]}"
    return JSONResponse({"error": text}, error.status_code, error.headers)
