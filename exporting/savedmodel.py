"""A run as a SavedModel in TensorFlow Serving's layout, with all that a server tells of it."""

import shlex
from pathlib import Path
from typing import Any

from exporting import model_info, parity_check, replay, warmup_records
from inference import saving
from inference.artifacts import ABOUT
from inference.modalities import modality_of
from training.run import Run, write_json

REQUEST = "sample-request.json"
LOADED = ("saved_model.pb", "variables/*", "assets/*")


def write(run: Run, directory: Path, *, with_examples: bool = False) -> dict[str, Any]:
    """Write the artifact and what stands beside it; return its proof.

    The examples beside it are made from the schema; with `with_examples` they are those of the
    test set, which everybody who asks the server may read then. Raises ParityError where a
    fresh process answers differently from training.
    """
    modality = modality_of(run)
    signatures = {
        name: getattr(function, "get_concrete_function", lambda function=function: function)()
        for name, function in modality.signatures(run).items()
    }
    saving.save(run, directory, signatures)
    samples = modality.sample_inputs(run.samples.raw, run)
    shown = samples
    if not with_examples:
        shown = modality.sample_inputs(modality.synthetic_features(run), run)
    told = model_info.describe(run, signatures, shown, with_examples=with_examples)
    write_json(directory / ABOUT, told)
    request = {"signature_name": told["example_signature"], "instances": told["examples"]}
    write_json(directory / REQUEST, request)
    warmup_records.write(directory, run.manifest["app"], shown)
    return parity_check.proof(run, "an export", [replay.__file__, str(directory)], samples)


def size(directory: Path) -> int:
    """Bytes of what a server loads; not of what stands beside it."""
    return sum(path.stat().st_size for part in LOADED for path in directory.glob(part))


def curl(app: str, directory: Path) -> str:
    """The command that asks a server on its usual port the sample request."""
    request = shlex.quote(f"@{directory / REQUEST}")
    return f"curl -d {request} http://127.0.0.1:8501/v1/models/{app}:predict"
