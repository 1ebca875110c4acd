"""A run becomes a version to serve, published only when it answers as in training."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from serving import catalogues, edge, kinds, quantized, savedmodel, warmup_records
from serving import formats as known
from serving.gate import ParityError
from training import origin
from training.run import Run, write_json

__all__ = ["ParityError", "export"]

WRITING = ".writing-"


def export(
    run: Run,
    *,
    formats: Sequence[str] = ("savedmodel",),
    quantize: Literal["int8", "float16"] | None = None,
    items: Path | None = None,
    with_examples: bool = False,
) -> dict[str, Any]:
    """Write export/N/, TensorFlow Serving's layout, and return its path and proofs.

    Signatures are those of the kind of question, such as `serving_default` over
    decoded pixels and `encoded` over the bytes of image files; all give the named
    outputs of the kind of answer, such as `class` and `probabilities`. A fresh
    process replays the inputs that training stored and compares the answers:
    raises ParityError, and publishes nothing, where they differ.

    A version always holds the SavedModel: a server takes the newest one, and has to
    find a model there. Files of other formats stand beside it, where TensorFlow Serving
    does not look. Raises RefusedError, and publishes nothing, where one that was asked
    for cannot carry the run.

    Args:
        run: to publish.
        formats: of `savedmodel`, `litert` and `onnx`.
        quantize: `int8` or `float16`: a smaller file for LiteRT beside the usual one.
        items: a CSV file of the items to recommend, see serving.catalogues.
        with_examples: publish examples of the test set, and ids of users, beside the model;
            else its examples are made from the schema.

    """
    _, *asked = known.asked(",".join(formats), quantize)
    with (
        catalogues.refreshed(run, items) as notes,
        _published(run.path / "export") as version,
    ):
        # First: what cannot be carried is refused before anything is written.
        carried: Any = kinds.question(run.passport["question"]).portable(run) if asked else None
        parity = savedmodel.write(run, version.path, with_examples=with_examples)
        signatures = parity["signatures"]
        others = {
            name: edge.write(run, version.path, carried, name, signatures=signatures)
            for name in asked
        }
        smaller = quantize and quantized.write(run, version.path, carried, quantize)
        beside = {"formats": {name: one.proof for name, one in others.items()}}
        beside["quantized"] = smaller or {}
        kept = {name: part for name, part in beside.items() if part}
        write_json(version.path / "parity.json", parity | kept)
        origin.mark(version.path, origin.EXPORT)
    target = version.target
    return {
        "export": str(target),
        "parity": parity,
        "formats": {
            name: {"path": str(target / one.path.name), "bytes": one.size, **one.proof}
            for name, one in others.items()
        },
        "quantized": smaller,
        "request": str(target / savedmodel.REQUEST),
        "curl": savedmodel.curl(run.passport["app"], target),
        "notes": notes if warmup_records.possible() else [*notes, warmup_records.MISSING],
    }


class _Version:
    """A version that is being written, and where it will be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder))
        self.target = self.path

    def publish(self) -> None:
        """Take the next number, all at once; another export may take one meanwhile."""
        self.path.chmod(0o755)
        # After a loss of power the name must not be there without what it names.
        for path in [*self.path.rglob("*"), self.path]:
            _keep(path)
        while self.path.exists():
            self.target = _next_version(self.folder)
            try:
                self.path.rename(self.target)
            except OSError:
                if not self.target.exists():
                    raise
        _keep(self.folder)


@contextlib.contextmanager
def _published(folder: Path) -> Iterator[_Version]:
    with contextlib.ExitStack() as held:
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            held.callback(_remove_empty, folder)
        # No other export takes what has been made, but not yet held, for a dead one's.
        with _opened(folder) as whole:
            fcntl.flock(whole, fcntl.LOCK_EX)
            _remove_dead(folder)
            version = _Version(folder)
            fcntl.flock(held.enter_context(_opened(version.path)), fcntl.LOCK_EX)
        try:
            yield version
            version.publish()
        finally:
            shutil.rmtree(version.path, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds a version
        folder.rmdir()


def _remove_dead(folder: Path) -> None:
    """Remove what killed exports began: a living one holds a lock on its directory."""
    for path in folder.glob(f"{WRITING}*"):
        with contextlib.suppress(OSError), _opened(path) as begun:
            fcntl.flock(begun, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def _keep(path: Path) -> None:
    with _opened(path) as number:
        os.fsync(number)


def _next_version(folder: Path) -> Path:
    versions = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    return folder / str(max(versions, default=0) + 1)
