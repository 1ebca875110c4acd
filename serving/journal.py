"""What the server tells of itself: a line of JSON for each request and each event."""

import asyncio
import datetime
import sys
import threading
from pathlib import Path
from typing import IO, Any

import orjson

EVERY = 0.2  # seconds between two writes: a write for each request would cost as much as its answer


class Journal:
    """Gathers lines and writes them together, to a file or to standard error."""

    def __init__(self, path: Path | None = None) -> None:
        self._file: IO[bytes] = path.open("ab") if path else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._own = path is not None

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event soon, with the time of now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        self._lines.append(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))

    async def keep(self) -> None:
        """Write what was gathered, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock:
            lines, self._lines = self._lines, []
            if lines:
                # Where nobody reads any more, there is nobody to tell that either.
                try:
                    self._file.write(b"".join(lines))
                    self._file.flush()
                except (OSError, ValueError):
                    return

    def close(self) -> None:
        """Write the last lines."""
        self.flush()
        if self._own:
            self._file.close()
