"""How long a version takes for its requests."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# A request that is known to take less is answered where it arrived: to hand it to a
# thread and back costs more than half as long as a small network thinks.
QUICK = 0.004
# How much of the pace is the last request's: less where it was slower, for the first of a
# version and those that the machine interrupts say little of the next.
SLOWER, FASTER = 0.1, 0.5


class Load(NamedTuple):
    """What makes a request take long; how its JSON is written does not.

    Attributes:
        rows: that it asks about.
        size: bytes of all inputs.
        bounded: whether that says how much work there is: a file of few bytes may hold
            millions of pixels.

    """

    rows: int
    size: int
    bounded: bool = True


def load_of(arrays: Mapping[str, np.ndarray]) -> Load:
    """The load of a request with these inputs."""
    rows = max((one.shape[0] for one in arrays.values() if one.ndim), default=1)
    size = sum(
        sum(map(len, one.ravel().tolist())) if one.dtype.kind == "O" else one.nbytes
        for one in arrays.values()
    )
    return Load(rows, size, not any(name.endswith("_bytes") for name in arrays))


class Pace:
    """How long requests of one signature and of about one load take of late."""

    def __init__(self) -> None:
        self._seconds: dict[str, dict[tuple[int, int], float]] = {}

    def quick(self, signature: str, load: Load) -> bool:
        """Whether a request of this load is likely to be answered soon.

        Where there was none like it: by others, as if time grew with rows and with bytes.
        """
        if not load.bounded:
            return False
        known, key = self._seconds.get(signature, {}), _key(load)
        seconds = known.get(key)
        if seconds is None:
            guesses = [one * 2.0 ** _doublings(key, other) for other, one in known.items()]
            seconds = min(guesses, default=QUICK)
        return seconds < QUICK

    def note(self, signature: str, load: Load, seconds: float) -> None:
        """Remember how long one took."""
        known, key = self._seconds.setdefault(signature, {}), _key(load)
        before = known.get(key, seconds)
        share = SLOWER if seconds > before else FASTER
        known[key] = before + share * (seconds - before)


def _key(load: Load) -> tuple[int, int]:
    return load.rows.bit_length(), load.size.bit_length()


def _doublings(key: tuple[int, int], other: tuple[int, int]) -> int:
    return max(0, key[0] - other[0], key[1] - other[1])
