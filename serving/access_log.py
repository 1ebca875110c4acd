"""What the server tells of itself: a line of JSON for each question and each event."""

import datetime
import select
import threading
from pathlib import Path
from typing import IO, Any

import orjson

EVERY = 0.2  # seconds between two writes: a write for each request would cost as much as its answer
MOST = 100_000  # lines that wait for who reads them; a pipe may be full and nobody there to read
PATIENCE = 2.0  # seconds for the last lines
STDERR = 2


class Journal:
    """Gathers lines; a thread of its own writes them, to a file or to standard error.

    Whoever tells something never waits for who reads it. Where too much waits,
    lines are left out, and how many is told instead.
    """

    def __init__(self, path: Path | None = None) -> None:
        # No buffer: what a blocked write holds, nobody waits for when the process ends.
        self._file: IO[bytes] = open(  # noqa: SIM115
            path or STDERR, "ab", buffering=0, closefd=path is not None
        )
        self._lines: list[bytes] = []
        self._lost = 0
        # Two locks: who tells never waits for who writes.
        self._telling, self._writing = threading.Lock(), threading.Lock()
        self._ended = threading.Event()

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event soon, with the time of now."""
        line = _line(event, **facts)
        with self._telling:
            if len(self._lines) < MOST:
                self._lines.append(line)
            else:
                self._lost += 1

    def keep(self) -> None:
        """Write what was gathered, again and again, until it is closed."""
        threading.Thread(target=self._keep, name="journal", daemon=True).start()

    def _keep(self) -> None:
        while not self._ended.wait(EVERY):
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        with self._writing:
            with self._telling:
                lines, self._lines = self._lines, []
                lost, self._lost = self._lost, 0
            if lost:
                lines.append(_line("lines left out", count=lost))
            # Where nobody reads any more, there is nobody to tell that either.
            try:
                left = memoryview(b"".join(lines))
                while left:
                    written = self._file.write(left)
                    if written is None:  # a terminal or pipe that does not block, and is full
                        select.select([], [self._file], [], EVERY)
                    left = left[written or 0 :]
            except (OSError, ValueError):
                return

    def close(self) -> None:
        """Write the last lines, if somebody takes them soon."""
        self._ended.set()
        last = threading.Thread(target=self._last, name="journal", daemon=True)
        last.start()
        last.join(PATIENCE)

    def _last(self) -> None:
        self.flush()
        self._file.close()


def _line(event: str, **facts: Any) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = {"time": now, "event": event, **facts}
    return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
