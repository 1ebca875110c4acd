"""Estimate how long a version takes for a request."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# Shorter requests run in the thread of the event loop: handing one to another thread and back
# costs more than half of the time of a small network.
MAX_INLINE_SECONDS = 0.004
# Weight of the last request in the estimate: small if it was slower, because the first request of
# a version, and interrupted ones, do not predict the next.
SLOWER_WEIGHT, FASTER_WEIGHT = 0.1, 0.5


class RequestSize(NamedTuple):
    """The size of a request, which determines its time.

    Attributes:
        rows: number of rows.
        size: bytes of all inputs.
        bounded: whether rows and bytes bound the work: a file of few bytes may hold
            millions of pixels.

    """

    rows: int
    size: int
    bounded: bool = True


def request_size(arrays: Mapping[str, np.ndarray]) -> RequestSize:
    """Return the size of a request with these inputs."""
    rows = max((array.shape[0] for array in arrays.values() if array.ndim), default=1)
    size = sum(
        sum(map(len, array.ravel().tolist())) if array.dtype.kind == "O" else array.nbytes
        for array in arrays.values()
    )
    return RequestSize(rows, size, not any(name.endswith("_bytes") for name in arrays))


class LatencyEstimate:
    """Recent times of requests, by signature and by powers of two of the size."""

    def __init__(self) -> None:
        self._seconds: dict[str, dict[tuple[int, int], float]] = {}

    def is_quick(self, signature: str, request: RequestSize) -> bool:
        """Whether a request of this size probably takes less than MAX_INLINE_SECONDS.

        If no request of this size was recorded, the estimate assumes that time grows in
        proportion to rows or bytes.
        """
        if not request.bounded:
            return False
        times, key = self._seconds.get(signature, {}), _key(request)
        seconds = times.get(key)
        if seconds is None:
            estimates = [time_ * 2.0 ** _doublings(key, other) for other, time_ in times.items()]
            seconds = min(estimates, default=MAX_INLINE_SECONDS)
        return seconds < MAX_INLINE_SECONDS

    def record(self, signature: str, request: RequestSize, seconds: float) -> None:
        """Record the seconds of a request."""
        times, key = self._seconds.setdefault(signature, {}), _key(request)
        before = times.get(key, seconds)
        weight = SLOWER_WEIGHT if seconds > before else FASTER_WEIGHT
        times[key] = before + weight * (seconds - before)


def _key(request: RequestSize) -> tuple[int, int]:
    return request.rows.bit_length(), request.size.bit_length()


def _doublings(key: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, key[0] - other[0], key[1] - other[1])
