"""Finds, loads, replaces and unloads the versions of a model."""

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from inference.artifacts import versions
from inference.request_errors import RequestError, translated
from inference.servable import Servable
from serving.addresses import Address

STOP_SECONDS = 10.0  # to wait for a version that is loading when the server stops
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 5.0, 600.0  # after a failed load
MAX_ENDED_STATUSES = 10  # unloaded versions that the status still reports
Load = Callable[[Path, int], Servable]
LogEvent = Callable[..., None]


class Status(NamedTuple):
    """The state of a version, with TensorFlow Serving's names and codes."""

    version: int
    state: str
    code: str = "OK"
    message: str = ""


class VersionFiles(NamedTuple):
    """A version on disk; a replacement of the same number has another identity."""

    number: int
    identity: tuple[tuple[int, ...], ...]


class Failure(NamedTuple):
    """The number of failed loads of a version, and the time of the next attempt."""

    attempts: int
    retry_time: float


class Model:
    """A named model; its newest version is served.

    The present version serves while the next one loads. After the swap the old version finishes
    its requests and is then unloaded. If the next version cannot be loaded, the present one stays
    and the status reports the error.
    """

    def __init__(self, address: Address, load: Load, log: LogEvent) -> None:
        self.name, self.directory = address.name, address.directory
        self._address = address
        self._load, self._log = load, log
        self._lock = threading.Lock()
        self._statuses: dict[int, Status] = {}
        self._current: tuple[VersionFiles, Servable] | None = None
        self._draining: list[Servable] = []
        self._failed: dict[VersionFiles, Failure] = {}

    @property
    def current(self) -> Servable | None:
        """The served version; None if there is none."""
        current = self._current
        return current[1] if current else None

    @contextlib.contextmanager
    def use(self, number: int | None = None) -> Iterator[Servable]:
        """Yield the served version, and keep it loaded meanwhile. Raises RequestError."""
        with self._lock:
            servable = self.current
            if servable is None or number not in (None, servable.number):
                raise _not_served(self.name, number)
            servable.acquire()
        try:
            yield servable
        finally:
            servable.release()

    def statuses(self, number: int | None = None) -> list[Status]:
        """Return the statuses of all versions, newest first, or of one. Raises RequestError."""
        known = sorted(self._statuses.copy().values(), reverse=True)
        if number is not None:
            known = [one for one in known if one.version == number]
        if not known:
            raise _unknown(self.name, number)
        return known

    def refresh(self) -> None:
        """Search the directory once, and load and unload versions. One thread at a time."""
        self.directory = self._address.current_directory()
        on_disk = [self._files_of(number) for number in versions(self.directory)]
        on_disk = [one for one in on_disk if one]
        self._failed = {one: self._failed[one] for one in on_disk if one in self._failed}
        for one in sorted(on_disk, reverse=True):
            if one in self._failed and time.monotonic() < self._failed[one].retry_time:
                continue
            if self._current and one == self._current[0]:
                break
            if self._load_and_serve(one):
                break
        self._unload()

    def _files_of(self, number: int) -> Any:
        directory = self.directory / str(number)
        try:
            # The variables too, because a copy in progress may write them after the graph.
            paths = [directory / "saved_model.pb", *sorted(directory.glob("variables/*"))]
            stats = [path.stat() for path in paths]
        except OSError:
            return None
        # Copies keep modification times, and a new file may reuse an inode.
        return VersionFiles(
            number, tuple((one.st_ino, one.st_ctime_ns, one.st_size) for one in stats)
        )

    def _load_and_serve(self, one: VersionFiles) -> bool:
        """Load a version and serve it. Returns whether it could be loaded."""
        self._set(Status(one.number, "LOADING"))
        try:
            servable = self._load(self.directory / str(one.number), one.number)
        except Exception as error:
            attempts = self._failed[one].attempts + 1 if one in self._failed else 1
            # The cause, such as a lack of memory, may pass; but each attempt is expensive.
            wait = min(FIRST_RETRY_SECONDS * 2 ** (attempts - 1), MAX_RETRY_SECONDS)
            self._failed[one] = Failure(attempts, time.monotonic() + wait)
            cause = error if isinstance(error, RequestError) else translated(error)
            message = cause.message if cause.code != "INTERNAL" else str(error) or cause.message
            message = message.replace(f"{self.directory}/", "")
            self._set(Status(one.number, "END", cause.code, message))
            self._log("load failed", model=self.name, version=one.number, error=message)
            return False
        with self._lock:
            before, self._current = self._current, (one, servable)
        self._set(Status(one.number, "AVAILABLE"))
        self._log("serving", model=self.name, version=one.number)
        if before:
            self._draining.append(before[1])
            if before[0].number != one.number:
                self._set(Status(before[0].number, "UNLOADING"))
        return True

    def _unload(self) -> None:
        ended = [one for one in self._draining if one.idle]
        for servable in ended:
            self._draining.remove(servable)
            servable.close()
            if self._statuses.get(servable.number, Status(0, "")).state == "UNLOADING":
                self._set(Status(servable.number, "END"))
            self._log("unloaded", model=self.name, version=servable.number)
        if ended:
            del servable
            ended.clear()
            # Sessions and graphs are reference cycles.
            gc.collect()

    def _set(self, status: Status) -> None:
        self._statuses[status.version] = status
        ended = sorted(one.version for one in self._statuses.values() if one.state == "END")
        for version in ended[:-MAX_ENDED_STATUSES]:
            del self._statuses[version]

    def close(self) -> None:
        """Stop serving and unload all versions."""
        with self._lock:
            current, self._current = self._current, None
        for servable in [*self._draining, *([current[1]] if current else [])]:
            servable.close()
        self._draining.clear()


def _not_served(name: str, number: int | None) -> RequestError:
    """Return the error of TensorFlow Serving for predictions and metadata."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return RequestError("NOT_FOUND", f"Servable not found for request: {wanted}")


def _unknown(name: str, number: int | None) -> RequestError:
    """Return the error of TensorFlow Serving for the status of versions."""
    which = "any versions" if number is None else f"version {number}"
    return RequestError("NOT_FOUND", f"Could not find {which} of model {name}")


class Models:
    """All models by name, and the thread that refreshes them."""

    def __init__(self, models: list[Model], refresh_seconds: float, log: LogEvent) -> None:
        self.by_name = {model.name: model for model in models}
        self._refresh_seconds, self._log = refresh_seconds, log
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._refresh_periodically, name="versions", daemon=True
        )

    def find(self, name: str, number: int | None = None, method: str = "predict") -> Model:
        """Return the model of this name. Raises RequestError with the message of the method."""
        model = self.by_name.get(name)
        if model is None:
            raise (_unknown if method == "status" else _not_served)(name, number)
        return model

    def start(self) -> None:
        """Start the thread that searches for new versions."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and close all models."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        for model in self.by_name.values():
            model.close()

    def _refresh_periodically(self) -> None:
        while not self._stop.wait(self._refresh_seconds):
            for model in self.by_name.values():
                try:
                    model.refresh()
                except Exception as error:
                    # The present version still serves after an error of the disk.
                    self._log("versions", model=model.name, error=repr(error))
