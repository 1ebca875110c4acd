"""Loads a version with the best number of threads, and warms it up."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from inference.servable import ALL_CORES, Servable
from serving.warmup import is_quick, warm_up


def load(directory: Path, number: int) -> Servable:
    """Load a version and run its warm-up requests.

    A small network runs in one thread: more threads would save no time, and would take cores from
    other requests and from the client.
    """
    servable = Servable(directory, number, threads=1)
    with _closed_on_error(servable):
        if is_quick(servable):
            warm_up(servable)
            return servable
    servable.close()
    servable = Servable(directory, number, threads=ALL_CORES)
    with _closed_on_error(servable):
        warm_up(servable)
    return servable


@contextlib.contextmanager
def _closed_on_error(servable: Servable) -> Iterator[None]:
    try:
        yield
    except BaseException:
        servable.close()
        raise
