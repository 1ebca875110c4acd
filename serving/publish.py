"""An export becomes the next version of a name, which servers follow."""

import shutil
from pathlib import Path
from typing import NamedTuple

from exporting.version_folders import published
from inference.artifacts import versions
from serving.addresses import NAME, ServeError, directory_in
from training import provenance


class Published(NamedTuple):
    """A version of a name, and the export that it is a copy of."""

    version: Path
    export: Path


def publish(source: Path, name: str, models: Path, *, trust: bool = False) -> Published:
    """Copy the newest export of a run into `models`/`name` as the next version there.

    A server of that directory, ours or TensorFlow Serving, takes it up as it runs. It appears
    whole or not at all. Raises ServeError where there is no export, and ProvenanceError for one of
    somebody else.
    """
    if not NAME.fullmatch(name) or name.startswith("."):
        raise ServeError(
            f"Received the name {name!r}; expected one without spaces, '/' and ':', such as digits."
            " Name the directory of all names by --models."
        )
    directory = directory_in(source.absolute())
    if directory is None:
        raise ServeError(
            f"Received {str(source)!r}, which holds no exported version; expected some. Export it: "
            "athanor APP export RUN."
        )
    export = directory / str(max(versions(directory)))
    provenance.require_signature(export, provenance.EXPORT_FILES, trust=trust)
    with published(models / name) as version:
        shutil.copytree(export, version.path, dirs_exist_ok=True)
        # Once more: what is published is what was looked at.
        provenance.require_signature(version.path, provenance.EXPORT_FILES, trust=trust)
    return Published(version.target, export)
