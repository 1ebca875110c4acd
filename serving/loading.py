"""A version is loaded with as many threads as serve it best, and warmed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from inference.servable import ALL, Servable
from serving.warmup import quick, warm


def load(directory: Path, number: int) -> Servable:
    """A version that has answered its own requests. Raises what keeps it from that.

    A network that one thread answers soon keeps to that thread: to share so little work
    costs about what it saves, and takes the other cores from who asks, and from the next.
    """
    servable = Servable(directory, number, threads=1)
    with _closed_where_it_fails(servable):
        if quick(servable):
            warm(servable)
            return servable
    servable.close()
    servable = Servable(directory, number, threads=ALL)
    with _closed_where_it_fails(servable):
        warm(servable)
    return servable


@contextlib.contextmanager
def _closed_where_it_fails(servable: Servable) -> Iterator[None]:
    try:
        yield
    except BaseException:
        servable.close()
        raise
