"""How long a version takes for its requests."""

# A request that is known to take less is answered where it arrived: to hand it to a
# thread and back costs more than half as long as a small network thinks.
QUICK = 0.004
# How much of the pace is the last request's.
SHARE = 0.2


class Pace:
    """How long requests of about one size take of late, of one version."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def quick(self, size: int) -> bool:
        """Whether a request of so many bytes is known to be answered soon."""
        return self._seconds.get(size.bit_length(), 1.0) < QUICK

    def note(self, size: int, seconds: float) -> None:
        """Remember how long one took; a first one says more than all after it."""
        key = size.bit_length()
        before = self._seconds.get(key)
        self._seconds[key] = seconds if before is None else before + SHARE * (seconds - before)
