"""A run becomes a version to serve, published only when it answers as in training."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serving import catalogues, savedmodel, warmup
from serving.gate import ParityError
from training.run import Run, write_json

__all__ = ["ParityError", "export"]


def export(
    run: Run,
    *,
    formats: Sequence[str] = ("savedmodel",),
    quantize: str | None = None,
    items: Path | None = None,
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

    """
    with (
        catalogues.refreshed(run, items) as notes,
        _published(run.path / "export") as version,
    ):
        parity = savedmodel.write(run, version.path)
        others = _others(run, version.path, formats)
        proofs = {name: one.proof for name, one in others.items()}
        smaller = _smaller(run, version.path, quantize)
        write_json(
            version.path / "parity.json",
            parity
            | ({"formats": proofs} if proofs else {})
            | ({"quantized": smaller} if smaller else {}),
        )
    if not warmup.possible():
        notes.append(warmup.MISSING)
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
        "notes": notes,
    }


def _others(run: Run, directory: Path, formats: Sequence[str]) -> dict[str, Any]:
    asked = [name for name in formats if name != "savedmodel"]
    if not asked:
        return {}
    from serving import edge

    return {name: edge.write(run, directory, name) for name in asked}


def _smaller(run: Run, directory: Path, quantize: str | None) -> dict[str, Any] | None:
    if quantize is None:
        return None
    from serving import quantized

    return quantized.write(run, directory, quantize)


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
