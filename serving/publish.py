"""Publishes an export as the next version of a name, which running servers load."""

import shutil
from pathlib import Path
from typing import NamedTuple

from exporting.version_folders import new_version
from inference.artifacts import versions
from serving.addresses import NAME, ServeError, directory_in, no_version
from training import provenance


class Published(NamedTuple):
    """A published version, and the export that it copies."""

    version: Path
    export: Path


def publish(source: Path, name: str, models: Path, *, trust: bool = False) -> Published:
    """Copy the newest export of a run into `models`/`name` as the next version there.

    Running servers of that directory load it: athanor's or TensorFlow Serving. The version appears
    complete or not at all. Raises ServeError without an export, ProvenanceError for an untrusted
    one.
    """
    if not NAME.fullmatch(name) or name.startswith("."):
        raise ServeError(
            f"Received the name {name!r}; expected one without spaces, '/' and ':', such as digits."
            " Name the directory of all names by --models."
        )
    directory = directory_in(source.absolute())
    if directory is None:
        raise no_version(source)
    export = directory / str(max(versions(directory)))
    provenance.require_signature(export, provenance.EXPORT_FILES, trust=trust)
    with new_version(models / name) as version:
        shutil.copytree(export, version.path, dirs_exist_ok=True)
        # The copy too: the export may have changed meanwhile.
        provenance.require_signature(version.path, provenance.EXPORT_FILES, trust=trust)
    return Published(version.target, export)
