"""The page for people at `/`."""

from typing import Any


def routes() -> list[Any]:
    """The page and its files, for starlette."""
    return []
