"""A run becomes a version to serve, published only when it answers as in training."""

import dataclasses
from pathlib import Path
from typing import Any

from exporting import catalogues, edge, formats, quantized, savedmodel, warmup_records
from exporting.options import ExportOptions
from exporting.parity_check import ParityError
from exporting.version_folders import published
from inference.modalities import modality_of
from training import provenance
from training.run import Run, write_json

__all__ = ["ParityError", "export"]
DEFAULTS = ExportOptions()


def export(run: Run, options: ExportOptions = DEFAULTS, **changes: Any) -> dict[str, Any]:
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
        options: formats, quantisation, items and examples.
        **changes: fields of `options` with other values.

    """
    options = dataclasses.replace(options, **changes)
    _, *asked = formats.asked(options.format, options.quantize)
    with (
        catalogues.refreshed(run, options.refresh_items) as notes,
        published(run.path / "export") as version,
    ):
        # First: what cannot be carried is refused before anything is written.
        carried: Any = modality_of(run).portable(run) if asked else None
        parity = savedmodel.write(run, version.path, with_examples=options.with_examples)
        signatures = parity["signatures"]
        others = {
            name: edge.write(run, version.path, carried, name, signatures=signatures)
            for name in asked
        }
        smaller = options.quantize and quantized.write(run, version.path, carried, options.quantize)
        beside = {"formats": {name: one.proof for name, one in others.items()}}
        beside["quantized"] = smaller or {}
        kept = {name: part for name, part in beside.items() if part}
        write_json(version.path / "parity.json", parity | kept)
        provenance.sign(version.path, provenance.EXPORT_FILES)
    return {
        "parity": parity,
        "quantized": smaller,
        "notes": notes if warmup_records.possible() else [*notes, warmup_records.MISSING],
    } | _places(run, version.target, others)


def _places(run: Run, target: Path, others: dict[str, edge.Written]) -> dict[str, Any]:
    """Where a version and its files lie, and how it is asked."""
    return {
        "export": str(target),
        "formats": {
            name: {"path": str(target / one.path.name), "bytes": one.size, **one.proof}
            for name, one in others.items()
        },
        "request": str(target / savedmodel.REQUEST),
        "curl": savedmodel.curl(run.manifest["app"], target),
    }
