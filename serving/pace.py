"""How long a version takes for its requests."""

# A request that is known to take less is answered where it arrived: to hand it to a
# thread and back costs more than half as long as a small network thinks.
QUICK = 0.004
# How much of the pace is the last request's: less where it was slower, for the first of a
# version and those that the machine interrupts say little of the next.
SLOWER, FASTER = 0.1, 0.5


class Pace:
    """How long requests of one signature and of about one size take of late."""

    def __init__(self) -> None:
        self._seconds: dict[str, dict[int, float]] = {}

    def quick(self, signature: str, size: int) -> bool:
        """Whether a request of so many bytes is likely to be answered soon.

        Where there was none of its size: by others, as if time grew with the size.
        """
        known, key = self._seconds.get(signature, {}), size.bit_length()
        seconds = known.get(key)
        if seconds is None:
            guesses = [one * 2.0 ** max(0, key - other) for other, one in known.items()]
            seconds = min(guesses, default=QUICK)
        return seconds < QUICK

    def note(self, signature: str, size: int, seconds: float) -> None:
        """Remember how long one took."""
        known, key = self._seconds.setdefault(signature, {}), size.bit_length()
        before = known.get(key, seconds)
        share = SLOWER if seconds > before else FASTER
        known[key] = before + share * (seconds - before)
