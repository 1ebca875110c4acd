"""What a search keeps on the disk: small files of every trial, and a copy of the best run."""

import json
import os
import shutil
from pathlib import Path

from training import provenance
from training.directory import remove_training_files
from training.run import MANIFEST


def require_trusted(directory: Path, *, trust: bool) -> None:
    """Raise ProvenanceError if another user trained a trial or the best run of a directory."""
    for model in [*directory.glob("trials/*/model.keras"), *directory.glob("best/model.keras")]:
        if (model.parent / MANIFEST).exists():
            provenance.require_signature(model.parent, provenance.RUN_FILES, trust=trust)


def remove_model(path: Path) -> None:
    """Remove the large files of a trial; its manifest and its history stay."""
    remove_training_files(path)
    partial = path.glob(".[0-9]*-*")  # files of a process that was killed while it wrote them
    for file in (path / "model.keras", path / "samples.npz", *partial):
        file.unlink(missing_ok=True)
    shutil.rmtree(path / "export", ignore_errors=True)


def copy_run(path: Path, target: Path) -> Path:
    """Replace an earlier copy of a run by that of another run, and return the copy.

    The copy appears complete or not at all.

    An earlier copy to which files were added, such as an export, stays under another name.
    """
    manifest, earlier = path / MANIFEST, target / MANIFEST
    if earlier.exists() and json.loads(earlier.read_text()) == json.loads(manifest.read_text()):
        return target
    for incomplete in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(incomplete)
    temporary = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.copytree(path, temporary)
    if target.exists():
        added = {path.name for path in target.iterdir()} - {
            path.name for path in temporary.iterdir()
        }
        names = (target.with_name(f"{target.name}-{n}") for n in range(1, 10_000))
        old = next(name for name in names if not name.exists())
        target.rename(old)
        if not added:
            shutil.rmtree(old)
    temporary.rename(target)
    return target
