"""A run becomes a version to serve, published only when it answers as in training."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving import savedmodel, warmup
from serving.gate import ParityError
from training.run import Run, write_json

__all__ = ["ParityError", "export"]


def export(run: Run) -> dict[str, Any]:
    """Write export/N/, TensorFlow Serving's layout, and return its path and proof.

    Signatures are those of the kind of question, such as `serving_default` over
    decoded pixels and `encoded` over the bytes of image files; all give the named
    outputs of the kind of answer, such as `class` and `probabilities`. A fresh
    process replays the inputs that training stored and compares the answers:
    raises ParityError, and publishes nothing, where they differ.
    """
    with _published(run.path / "export") as beside:
        parity = savedmodel.write(run, beside.path)
        write_json(beside.path / "parity.json", parity)
    return {
        "export": str(beside.target),
        "parity": parity,
        "request": str(beside.target / savedmodel.REQUEST),
        "curl": savedmodel.curl(run.passport["app"], beside.target),
        "notes": [] if warmup.possible() else [warmup.MISSING],
    }


class _Version:
    """A version that is being written, and where it will be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
        self.target = self.path

    def publish(self) -> None:
        """Take the next number, all at once; another export may take one meanwhile."""
        self.path.chmod(0o755)
        while self.path.exists():
            self.target = _next_version(self.folder)
            try:
                self.path.rename(self.target)
            except OSError:
                if not self.target.exists():
                    raise


@contextlib.contextmanager
def _published(folder: Path) -> Iterator[_Version]:
    folder.mkdir(exist_ok=True)
    version = _Version(folder)
    try:
        yield version
        version.publish()
    finally:
        shutil.rmtree(version.path, ignore_errors=True)


def _next_version(folder: Path) -> Path:
    versions = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    return folder / str(max(versions, default=0) + 1)
