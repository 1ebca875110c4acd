"""Finds the directory of numbered versions and the name of each model to serve."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from inference.artifacts import ABOUT, read, versions
from pipelines.files import expand_home

EXPORT, MANIFEST = "export", "run.json"
NAME = re.compile(r"[^/:\s]+")


class ServeError(ValueError):
    """Options or addresses that cannot be served."""

    exit_status = 2


class Address(NamedTuple):
    """A model to serve.

    Attributes:
        name: in URLs.
        directory: the directory that holds its versions now.
        source: the path that the user gave. The server searches it again, because `latest` may
            point at a newer run.

    """

    name: str
    directory: Path
    source: Path | None = None

    def current_directory(self) -> Path:
        """Search the source again; return the present directory if the source has no version."""
        return (self.source and directory_in(self.source)) or self.directory


def addresses(runs: Sequence[str]) -> list[Address]:
    """Find the models of `RUN` and `NAME=RUN`, each with its own name. Raises ServeError."""
    if not runs:
        raise ServeError("Received no runs; expected directories: athanor serve RUN [NAME=RUN...].")
    found: dict[str, Address] = {}
    for run in runs:
        address = _address(run)
        if address.name in found:
            first = runs[list(found).index(address.name)]
            words = shlex.join([first, f"other={_run(address.directory)}"])
            raise ServeError(
                f"Received two models named {address.name!r}; expected different names. Name one "
                f"of them: athanor serve {words}."
            )
        found[address.name] = address
    return list(found.values())


def _address(run: str) -> Address:
    if not run:
        raise ServeError("Received '' as a run; expected a directory: athanor serve RUN.")
    path, name = Path(run), None
    if "=" in run and not path.exists():
        name, _, given = run.partition("=")
        # A shell expands ~ only at the start of a word.
        path = expand_home(given)
        if not given:
            raise ServeError(f"Received {run!r}; expected a run too: {name}=RUN.")
        if not NAME.fullmatch(name):
            raise ServeError(
                f"Received the name {name!r}; expected one without spaces, '/' and ':', such as "
                f"digits={given}."
            )
    if not path.is_dir():
        raise ServeError(
            f"Received {str(path)!r}, where there is no directory; expected a run with an export, "
            "or a directory of numbered versions."
        )
    source = path.absolute()  # the server follows links at each search
    directory = directory_in(source)
    if directory is None:
        raise no_version(path)
    return Address(name or _name_in(directory), directory, source)


def no_version(path: Path) -> ServeError:
    """Return the error for a path without an export; it names the command that writes one."""
    runs = [one for one in (path, path / "latest") if (one / MANIFEST).is_file()]
    return ServeError(
        f"Received {str(path)!r}, which holds no exported version; expected at least one. Export "
        f"it first: athanor export {runs[0] if runs else 'RUN'}"
    )


def directory_in(source: Path) -> Path | None:
    """Find the directory of versions in a run, a directory of versions, or an app's runs.

    Among several runs it is the one with the newest export. None means that there is no version.
    """
    path = source.resolve()
    for one in (path / EXPORT, path):
        if versions(one):
            return one
    try:
        # A set, because `latest` is a link to one of the runs.
        runs = {one.resolve() / EXPORT for one in path.iterdir() if versions(one / EXPORT)}
    except OSError:
        return None
    return max(runs, key=_written, default=None)


def _written(directory: Path) -> int:
    """Return the modification time of the newest version in nanoseconds."""
    try:
        return (directory / str(max(versions(directory))) / "saved_model.pb").stat().st_mtime_ns
    except (OSError, ValueError):  # it was deleted meanwhile
        return 0


def _name_in(directory: Path) -> str:
    """Return the app's name from the export or the run, or else the directory's name."""
    newest = max(versions(directory))
    run = _run(directory)
    for path in (directory / str(newest) / ABOUT, run / MANIFEST):
        name = read(path).get("app")
        if isinstance(name, str) and NAME.fullmatch(name):
            return name
    return re.sub(r"[/:\s]+", "-", run.name)


def _run(directory: Path) -> Path:
    """Return the argument of `serve` for this directory of versions."""
    return directory.parent if directory.name == EXPORT else directory
