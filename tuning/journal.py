"""The journal of a search: one line for each event; an incomplete last line does not count."""

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any


class JournalError(ValueError):
    """The journal is damaged, or belongs to another search."""

    exit_status = 2


class JournalWriteError(RuntimeError):
    """An event could not be written, so the search stops."""

    exit_status = 1


class Journal:
    """An append-only file of events; an event is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write_error = ""

    def events(self) -> list[dict[str, Any]]:
        """Return all events so far; cut an incomplete last line off the file.

        Raises JournalError if another line is damaged.
        """
        if not self.path.exists():
            return []
        content = self.path.read_bytes()
        lines = content.splitlines(keepends=True)
        events = [_event(line) for line in lines]
        if events and events[-1] is None:
            os.truncate(self.path, len(content) - len(lines[-1]))
            events.pop()
        if None in events:
            raise JournalError(
                f"Received {self.path}, whose line {events.index(None) + 1} is damaged; expected "
                "it as the search wrote it. Restore the file, or choose another --run-dir."
            )
        return [event for event in events if event is not None]

    def append(self, event: dict[str, Any]) -> None:
        """Write an event. Raises JournalWriteError if this or an earlier write failed."""
        if self.write_error:
            raise JournalWriteError(self.write_error)
        text = json.dumps(event, allow_nan=False).encode()
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                file.write(b"%08x %s\n" % (zlib.crc32(text), text))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.write_error = (
                f"Could not write {self.path}: {error.strerror}. Make room there, and start the "
                "same command again: it continues."
            )
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise JournalWriteError(self.write_error) from error


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line; None if the checksum does not match."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    intact = line.endswith(b"\n") and checksum == b"%08x" % zlib.crc32(text)
    return json.loads(text) if intact else None


def failure_reason(directory: Path, trial_id: str) -> str:
    """Return why a trial failed, from a file: KerasTuner's protocol does not carry the reason."""
    path = directory / "trials" / trial_id / "failed.txt"
    return path.read_text().strip() if path.exists() else "no reason was given"
