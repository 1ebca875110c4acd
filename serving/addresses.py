"""Which directory of numbered versions is served under which name."""

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
    """What cannot be served as it was asked for: what was received, what was expected."""

    exit_status = 2


class Address(NamedTuple):
    """A model to serve.

    Attributes:
        name: in URLs.
        directory: that holds its versions now.
        source: that is looked at again for it: `latest` may point at another run since, and an
            app's runs may have another newest one.

    """

    name: str
    directory: Path
    source: Path | None = None

    def again(self) -> Path:
        """The directory that holds its versions by now; the one before, where there is none."""
        return (self.source and directory_in(self.source)) or self.directory


def addresses(asked: Sequence[str]) -> list[Address]:
    """The models that `RUN` or `NAME=RUN` mean, a name each. Raises ServeError."""
    if not asked:
        raise ServeError("Received no runs; expected directories: athanor serve RUN [NAME=RUN...].")
    found = [_address(one) for one in asked]
    for place, one in enumerate(found):
        if one.name in [other.name for other in found[:place]]:
            first = next(k for k, other in enumerate(found) if other.name == one.name)
            words = shlex.join([asked[first], f"other={_run(one.directory)}"])
            raise ServeError(
                f"Received two models named {one.name!r}; expected a name each. Name one of them: "
                f"athanor serve {words}."
            )
    return found


def _address(asked: str) -> Address:
    if not asked:
        raise ServeError("Received '' as a run; expected a directory: athanor serve RUN.")
    path, name = Path(asked), None
    if "=" in asked and not path.exists():
        name, _, given = asked.partition("=")
        # A shell expands ~ only where a word begins.
        path = expand_home(given)
        if not given:
            raise ServeError(f"Received {asked!r}; expected a run too: {name}=RUN.")
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
    source = path.absolute()  # links are followed each time that it is looked at
    directory = directory_in(source)
    if directory is None:
        raise ServeError(
            f"Received {asked!r}, which holds no exported version; expected some. Export it: "
            "athanor APP export RUN."
        )
    return Address(name or _name_in(directory), directory, source)


def directory_in(source: Path) -> Path | None:
    """The directory of versions that is meant: of a run, of versions, or of an app's runs.

    Of runs it is that of the newest export. None where there is no version.
    """
    path = source.resolve()
    for one in (path / EXPORT, path):
        if versions(one):
            return one
    try:
        # `latest` is one of the others.
        runs = {one.resolve() / EXPORT for one in path.iterdir() if versions(one / EXPORT)}
    except OSError:
        return None
    return max(runs, key=_written, default=None)


def _written(directory: Path) -> int:
    """When the newest version in a directory was written, in nanoseconds."""
    try:
        return (directory / str(max(versions(directory))) / "saved_model.pb").stat().st_mtime_ns
    except (OSError, ValueError):  # it has gone since
        return 0


def _name_in(directory: Path) -> str:
    """The app's name as the export tells it, else as the run does, else the directory's own."""
    newest = max(versions(directory))
    run = _run(directory)
    for told in (directory / str(newest) / ABOUT, run / MANIFEST):
        name = read(told).get("app")
        if isinstance(name, str) and NAME.fullmatch(name):
            return name
    return re.sub(r"[/:\s]+", "-", run.name)


def _run(directory: Path) -> Path:
    """What is given to `serve` for this directory of versions."""
    return directory.parent if directory.name == EXPORT else directory
