"""What the server answers outside of TensorFlow Serving's interface."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.metrics import Metrics
from serving.versions import Models, Tell


def other_paths(models: Models, metrics: Metrics, tell: Tell) -> Starlette:
    """/healthz, /metrics and the page for people."""
    from serving.http import static

    async def healthz(_: Request) -> Response:
        """Whether every model is served, and in which version."""
        found = {name: model.current for name, model in models.by_name.items()}
        versions = {name: one.number if one else None for name, one in found.items()}
        status = 503 if None in versions.values() else 200
        told = "ok" if status == 200 else "not all models are served"
        return JSONResponse({"status": told, "models": versions}, status)

    async def counted(_: Request) -> Response:
        """All counts, in Prometheus's text."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    async def broken(request: Request, error: Exception) -> Response:
        tell("failed", path=request.url.path[:200], error=repr(error))
        return JSONResponse({"error": "internal error; the log says more"}, 500)

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/metrics", counted), *static.routes()],
        exception_handlers={HTTPException: _refused, Exception: broken},
    )


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    text = f"{error.detail}: {request.method} {request.url.path[:200]}"
    return JSONResponse({"error": text}, error.status_code, error.headers)
