"""The web page at `/`: its files and their headers."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOLDER = Path(__file__).resolve().parents[1] / "page"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # No content of other hosts, no inline scripts, no frames.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Browsers revalidate each file: names have no versions, and a mix of old and new files
    # would be a page that was never tested.
    "Cache-Control": "no-cache",
}


class StaticFile(NamedTuple):
    """A file of the page, and its ETag."""

    content: bytes
    kind: str
    tag: str


def routes() -> list[Route]:
    """Return the routes `/` and `/page/{file}`; the files are read once, now."""
    files = {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in TYPES}

    async def index(request: Request) -> Response:
        return _respond(request, files[INDEX])

    async def one(request: Request) -> Response:
        # Only files that were read before: no path of a client is opened.
        found = files.get(request.path_params["file"])
        if found is None:
            return PlainTextResponse("There is no such file.", 404, HEADERS)
        return _respond(request, found)

    return [Route("/", index), Route("/page/{file}", one)]


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return StaticFile(content, TYPES[path.suffix], tag)


def _respond(request: Request, file: StaticFile) -> Response:
    headers = HEADERS | {"ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.kind)
