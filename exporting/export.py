"""Export a run as a version to serve, and publish it only if its outputs match training."""

import dataclasses
from pathlib import Path
from typing import Any

from evaluation import gate
from exporting import catalogues, edge, formats, quantized, savedmodel, warmup_records
from exporting.options import ExportOptions
from exporting.parity_check import ParityError
from exporting.version_folders import new_version
from inference.modalities import modality_of
from pipelines.files import plain_path
from training import provenance
from training.run import Run, write_json

__all__ = ["ParityError", "export"]
DEFAULT_OPTIONS = ExportOptions()


def export(run: Run, options: ExportOptions = DEFAULT_OPTIONS, **changes: Any) -> dict[str, Any]:
    """Write export/N/ in TensorFlow Serving's layout; return its path and parity results.

    The modality defines the signatures, such as `serving_default` over decoded pixels and `encoded`
    over the bytes of image files. The task defines their named outputs, such as `class` and
    `probabilities`. A fresh process replays the inputs stored by training and compares the outputs.
    If they differ, this raises ParityError and publishes nothing.

    A version always holds the SavedModel, because a server loads the newest version. TensorFlow
    Serving ignores the files of other formats beside it. Raises RefusedError, and publishes
    nothing, if a requested format cannot represent the model.

    Args:
        run: to publish.
        options: formats, quantisation, items and examples.
        **changes: fields of `options` with other values.

    """
    options = dataclasses.replace(options, **changes)
    if options.gate:
        gate.require(run, options.gate)
    _, *other_formats = formats.parse_formats(options.format, options.quantize)
    with (
        catalogues.with_items(run, options.refresh_items) as notes,
        new_version(run.path / "export") as version,
        plain_path(version.path) as path,
    ):
        # This refuses an unsupported model before anything is written.
        portable: Any = modality_of(run).portable(run) if other_formats else None
        parity = savedmodel.write(run, path, with_examples=options.with_examples)
        signatures = parity["signatures"]
        files = {
            name: edge.write(run, path, portable, name, signatures=signatures)
            for name in other_formats
        }
        quantization = options.quantize and quantized.write(run, path, portable, options.quantize)
        other_results = {"formats": {name: file.parity for name, file in files.items()}}
        other_results["quantized"] = quantization or {}
        other_results = {name: part for name, part in other_results.items() if part}
        write_json(path / "parity.json", {**parity, **other_results})
        provenance.sign(path, provenance.EXPORT_FILES)
    return {
        "parity": parity,
        "quantized": quantization,
        "notes": notes if warmup_records.available() else [*notes, warmup_records.MISSING_NOTE],
    } | _paths(run, version.target, files)


def _paths(run: Run, target: Path, files: dict[str, edge.WrittenFile]) -> dict[str, Any]:
    """Return the paths of a version and its files, and a sample request."""
    return {
        "export": str(target),
        "formats": {
            name: {"path": str(target / file.path.name), "bytes": file.size, **file.parity}
            for name, file in files.items()
        },
        "request": str(target / savedmodel.SAMPLE_REQUEST),
        "curl": savedmodel.curl(run.manifest["app"], target),
    }
