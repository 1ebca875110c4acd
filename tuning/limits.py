"""The limits of a search: trials, time and workers."""

from typing import NamedTuple


class Limits(NamedTuple):
    """When a search begins no more trials, and when it gives a worker up.

    Attributes:
        trials: the maximum number.
        seconds: after which no trial begins, counted over all starts of the search.
        workers: the number that run trials at once.
        worker_timeout: seconds without a call after which a worker is lost; with 0 a worker is
            lost only if it has not called since this start of the search.

    """

    trials: int
    seconds: float | None = None
    workers: int = 1
    worker_timeout: float = 0.0
