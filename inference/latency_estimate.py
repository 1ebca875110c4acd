"""Estimates how long a version takes for a request."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# Shorter requests run in the thread of the event loop: handing one to another thread and back
# costs more than half of the time of a small network.
MAX_INLINE_SECONDS = 0.004
# Weight of the last request in the estimate: small if it was slower, since the first request of
# a version and interrupted ones say little about the next.
SLOWER_WEIGHT, FASTER_WEIGHT = 0.1, 0.5


class RequestSize(NamedTuple):
    """What makes a request slow; the formatting of its JSON does not.

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
    rows = max((one.shape[0] for one in arrays.values() if one.ndim), default=1)
    size = sum(
        sum(map(len, one.ravel().tolist())) if one.dtype.kind == "O" else one.nbytes
        for one in arrays.values()
    )
    return RequestSize(rows, size, not any(name.endswith("_bytes") for name in arrays))


class LatencyEstimate:
    """Recent times of requests, by signature and by powers of two of the size."""

    def __init__(self) -> None:
        self._seconds: dict[str, dict[tuple[int, int], float]] = {}

    def is_quick(self, signature: str, request: RequestSize) -> bool:
        """Whether a request of this size probably takes less than MAX_INLINE_SECONDS.

        Without a request of this size: from others, as if time grew with rows and with bytes.
        """
        if not request.bounded:
            return False
        known, key = self._seconds.get(signature, {}), _key(request)
        seconds = known.get(key)
        if seconds is None:
            guesses = [one * 2.0 ** _doublings(key, other) for other, one in known.items()]
            seconds = min(guesses, default=MAX_INLINE_SECONDS)
        return seconds < MAX_INLINE_SECONDS

    def record(self, signature: str, request: RequestSize, seconds: float) -> None:
        """Record the seconds of a request."""
        known, key = self._seconds.setdefault(signature, {}), _key(request)
        before = known.get(key, seconds)
        share = SLOWER_WEIGHT if seconds > before else FASTER_WEIGHT
        known[key] = before + share * (seconds - before)


def _key(request: RequestSize) -> tuple[int, int]:
    return request.rows.bit_length(), request.size.bit_length()


def _doublings(key: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, key[0] - other[0], key[1] - other[1])
