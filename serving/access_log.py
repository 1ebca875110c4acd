"""The access log: a line of JSON for each request and each event of the server."""

import datetime
import select
import threading
from pathlib import Path
from typing import IO, Any

import orjson

# One write for many lines: a write costs as much as the response to a request.
FLUSH_SECONDS = 0.2
MAX_PENDING_LINES = 100_000  # a full pipe without a reader must not fill the memory
CLOSE_SECONDS = 2.0  # to write the last lines
STDERR = 2  # file descriptor


class AccessLog:
    """Collects lines; a background thread writes them to a file or to standard error.

    Logging never blocks. When more than `MAX_PENDING_LINES` are pending, the log drops lines and
    writes their number instead.
    """

    def __init__(self, path: Path | None = None) -> None:
        # Unbuffered: a buffer held by a blocked write would delay the end of the process.
        self._file: IO[bytes] = open(  # noqa: SIM115
            path or STDERR, "ab", buffering=0, closefd=path is not None
        )
        self._lines: list[bytes] = []
        self._num_dropped = 0
        # Two locks: a caller of `log` never waits for a write.
        self._lines_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._closed = threading.Event()

    def log(self, event: str, **fields: Any) -> None:
        """Add an event with the present time; the thread writes it soon."""
        line = _line(event, **fields)
        with self._lines_lock:
            if len(self._lines) < MAX_PENDING_LINES:
                self._lines.append(line)
            else:
                self._num_dropped += 1

    def start(self) -> None:
        """Start the thread that writes until the log is closed."""
        threading.Thread(target=self._write_periodically, name="access log", daemon=True).start()

    def _write_periodically(self) -> None:
        while not self._closed.wait(FLUSH_SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write all pending lines."""
        with self._write_lock:
            with self._lines_lock:
                lines, self._lines = self._lines, []
                num_dropped, self._num_dropped = self._num_dropped, 0
            if num_dropped:
                lines.append(_line("lines left out", count=num_dropped))
            # Without a reader no one can receive this error either.
            try:
                remaining = memoryview(b"".join(lines))
                while remaining:
                    written = self._file.write(remaining)
                    if written is None:  # a full terminal or pipe in non-blocking mode
                        select.select([], [self._file], [], FLUSH_SECONDS)
                    remaining = remaining[written or 0 :]
            except (OSError, ValueError):
                return

    def close(self) -> None:
        """Write the last lines within `CLOSE_SECONDS`."""
        self._closed.set()
        last = threading.Thread(target=self._write_last, name="access log", daemon=True)
        last.start()
        last.join(CLOSE_SECONDS)

    def _write_last(self) -> None:
        self.flush()
        self._file.close()


def _line(event: str, **fields: Any) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    line = {"time": now, "event": event, **fields}
    return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
