"""The versions of a model: found in its directory, warmed, swapped, drained and unloaded."""

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

PATIENCE = 10.0  # seconds for a version that is just being loaded when all ends
FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0  # seconds until what failed is tried again
ENDED = 10  # versions that are gone and still reported
Load = Callable[[Path, int], Servable]
Tell = Callable[..., None]


class Status(NamedTuple):
    """Where a version stands, in TensorFlow Serving's words."""

    version: int
    state: str
    code: str = "OK"
    message: str = ""


class Found(NamedTuple):
    """A version on the disk; another one of the same number has another identity."""

    number: int
    identity: tuple[tuple[int, ...], ...]


class Failure(NamedTuple):
    """How often a version could not be loaded, and when it is tried again."""

    times: int
    again: float


class Model:
    """A model by its name, whatever version of it is served.

    The newest version is. While another is loaded and warmed the one before goes
    on; who is asking it when it is replaced is still answered, and only then it is
    unloaded. What cannot be loaded is reported, and the one before stays.
    """

    def __init__(self, address: Address, load: Load, tell: Tell) -> None:
        self.name, self.directory = address.name, address.directory
        self._address = address
        self._load, self._tell = load, tell
        self._lock = threading.Lock()
        self._statuses: dict[int, Status] = {}
        self._current: tuple[Found, Servable] | None = None
        self._leaving: list[Servable] = []
        self._failed: dict[Found, Failure] = {}

    @property
    def current(self) -> Servable | None:
        """The version that is served."""
        current = self._current
        return current[1] if current else None

    @contextlib.contextmanager
    def held(self, number: int | None = None) -> Iterator[Servable]:
        """The version that is served, for as long as it is asked. Raises RequestError."""
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
        """All versions that are known, the newest first, or one. Raises RequestError."""
        known = sorted(self._statuses.copy().values(), reverse=True)
        if number is not None:
            known = [one for one in known if one.version == number]
        if not known:
            raise _unknown(self.name, number)
        return known

    def refresh(self) -> None:
        """Look at the directory once, and do what is to be done. One thread at a time."""
        self.directory = self._address.again()
        found = [self._found(number) for number in versions(self.directory)]
        found = [one for one in found if one]
        self._failed = {one: self._failed[one] for one in found if one in self._failed}
        for one in sorted(found, reverse=True):
            if one in self._failed and time.monotonic() < self._failed[one].again:
                continue
            if self._current and one == self._current[0]:
                break
            if self._swap(one):
                break
        self._unload()

    def _found(self, number: int) -> Any:
        directory = self.directory / str(number)
        try:
            # The variables too: a copy may bring them after the graph, while we look.
            paths = [directory / "saved_model.pb", *sorted(directory.glob("variables/*"))]
            facts = [path.stat() for path in paths]
        except OSError:
            return None
        # Copies keep the time of change, and a file that is gone leaves its number to others.
        return Found(number, tuple((one.st_ino, one.st_ctime_ns, one.st_size) for one in facts))

    def _swap(self, one: Found) -> bool:
        """Load a version and serve it from now on."""
        self._set(Status(one.number, "LOADING"))
        try:
            servable = self._load(self.directory / str(one.number), one.number)
        except Exception as error:
            times = self._failed[one].times + 1 if one in self._failed else 1
            # What is wrong may pass, as memory that is short does; a look a second is too many.
            wait = min(FIRST_WAIT * 2 ** (times - 1), LONGEST_WAIT)
            self._failed[one] = Failure(times, time.monotonic() + wait)
            wrong = error if isinstance(error, RequestError) else translated(error)
            message = wrong.message if wrong.code != "INTERNAL" else str(error) or wrong.message
            message = message.replace(f"{self.directory}/", "")
            self._set(Status(one.number, "END", wrong.code, message))
            self._tell("load failed", model=self.name, version=one.number, error=message)
            return False
        with self._lock:
            before, self._current = self._current, (one, servable)
        self._set(Status(one.number, "AVAILABLE"))
        self._tell("serving", model=self.name, version=one.number)
        if before:
            self._leaving.append(before[1])
            if before[0].number != one.number:
                self._set(Status(before[0].number, "UNLOADING"))
        return True

    def _unload(self) -> None:
        ended = [one for one in self._leaving if one.idle]
        for servable in ended:
            self._leaving.remove(servable)
            servable.close()
            if self._statuses.get(servable.number, Status(0, "")).state == "UNLOADING":
                self._set(Status(servable.number, "END"))
            self._tell("unloaded", model=self.name, version=servable.number)
        if ended:
            del servable
            ended.clear()
            # Sessions and graphs point at each other.
            gc.collect()

    def _set(self, status: Status) -> None:
        self._statuses[status.version] = status
        ended = sorted(one.version for one in self._statuses.values() if one.state == "END")
        for version in ended[:-ENDED]:
            del self._statuses[version]

    def close(self) -> None:
        """Serve nothing any more."""
        with self._lock:
            current, self._current = self._current, None
        for servable in [*self._leaving, *([current[1]] if current else [])]:
            servable.close()
        self._leaving.clear()


def _not_served(name: str, number: int | None) -> RequestError:
    """In the words of TensorFlow Serving, for questions to a model or for its signatures."""
    asked = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return RequestError("NOT_FOUND", f"Servable not found for request: {asked}")


def _unknown(name: str, number: int | None) -> RequestError:
    """In its words, for the status of versions."""
    which = "any versions" if number is None else f"version {number}"
    return RequestError("NOT_FOUND", f"Could not find {which} of model {name}")


class Models:
    """All models by their names, looked after by a thread of their own."""

    def __init__(self, models: list[Model], every: float, tell: Tell) -> None:
        self.by_name = {model.name: model for model in models}
        self._every, self._tell = every, tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="versions", daemon=True)

    def find(self, name: str, number: int | None = None, what: str = "predict") -> Model:
        """The model of this name, for a version and what is asked of it. Raises RequestError."""
        found = self.by_name.get(name)
        if found is None:
            raise (_unknown if what == "status" else _not_served)(name, number)
        return found

    def start(self) -> None:
        """Begin to look for new versions."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and close all models."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        for model in self.by_name.values():
            model.close()

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            for model in self.by_name.values():
                try:
                    model.refresh()
                except Exception as error:
                    # Whatever a disk may do, the version that is served goes on.
                    self._tell("versions", model=model.name, error=repr(error))
