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
    # No content from other hosts, no inline scripts, no frames.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Browsers revalidate each file: file names have no versions, and a mix of old and new files
    # was never tested.
    "Cache-Control": "no-cache",
}


class StaticFile(NamedTuple):
    """A file of the page, its media type and its ETag."""

    content: bytes
    media_type: str
    etag: str


def routes() -> list[Route]:
    """Return the routes `/` and `/page/{file}`; the files are read once, now."""
    files = {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in TYPES}

    async def index(request: Request) -> Response:
        return _respond(request, files[INDEX])

    async def page_file(request: Request) -> Response:
        # Only files that were read at the start: the server opens no path of a client.
        found = files.get(request.path_params["file"])
        if found is None:
            return PlainTextResponse("There is no such file.", 404, HEADERS)
        return _respond(request, found)

    return [Route("/", index), Route("/page/{file}", page_file)]


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return StaticFile(content, TYPES[path.suffix], etag)


def _respond(request: Request, file: StaticFile) -> Response:
    headers = HEADERS | {"ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
