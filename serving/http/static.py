"""The page for people at `/`: its files, as they are installed, and how browsers may treat them."""

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
    # Nothing from another host, nothing inside the text of the page, in no frame.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked about each time, answered by 304 while it is the same: files have no version in
    # their names, and old ones beside new ones would be a page that nobody tested.
    "Cache-Control": "no-cache",
}


class Known(NamedTuple):
    """A file of the page, and the tag by which a browser knows it again."""

    content: bytes
    kind: str
    tag: str


def routes() -> list[Route]:
    """`/` and `/page/{file}`; the files are read once, now."""
    files = {path.name: _known(path) for path in FOLDER.iterdir() if path.suffix in TYPES}

    async def index(request: Request) -> Response:
        return _answer(request, files[INDEX])

    async def one(request: Request) -> Response:
        # By name among those read: no path from outside is opened.
        found = files.get(request.path_params["file"])
        if found is None:
            return PlainTextResponse("There is no such file.", 404, HEADERS)
        return _answer(request, found)

    return [Route("/", index), Route("/page/{file}", one)]


def _known(path: Path) -> Known:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return Known(content, TYPES[path.suffix], tag)


def _answer(request: Request, file: Known) -> Response:
    headers = HEADERS | {"ETag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.kind)
