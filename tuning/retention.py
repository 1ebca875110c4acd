"""What a search keeps on the disk: small files of every trial, and a copy of the best run."""

import json
import os
import shutil
from pathlib import Path

from training import provenance
from training.directory import remove_training_files
from training.run import MANIFEST


def require_trusted(directory: Path, *, trust: bool) -> None:
    """Raise ProvenanceError if somebody else trained a trial or the best run of a directory."""
    for model in [*directory.glob("trials/*/model.keras"), *directory.glob("best/model.keras")]:
        if (model.parent / MANIFEST).exists():
            provenance.require_signature(model.parent, provenance.RUN_FILES, trust=trust)


def remove_model(path: Path) -> None:
    """Remove the large files of a trial; its manifest and its history stay."""
    remove_training_files(path)
    torn = path.glob(".[0-9]*-*")  # files of a process that was killed
    for one in (path / "model.keras", path / "samples.npz", *torn):
        one.unlink(missing_ok=True)
    shutil.rmtree(path / "export", ignore_errors=True)


def copy_run(path: Path, target: Path) -> Path:
    """Copy a run directory, whole or not at all, in place of an earlier copy; returns the copy.

    An earlier copy to which files were added, such as an export, stays under another name.
    """
    wanted = json.loads((path / "run.json").read_text())
    if (target / "run.json").exists() and json.loads((target / "run.json").read_text()) == wanted:
        return target
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left)
    beside = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.copytree(path, beside)
    if target.exists():
        added = {one.name for one in target.iterdir()} - {one.name for one in beside.iterdir()}
        names = (target.with_name(f"{target.name}-{n}") for n in range(1, 10_000))
        old = next(name for name in names if not name.exists())
        target.rename(old)
        if not added:
            shutil.rmtree(old)
    beside.rename(target)
    return target
