"""Write a run as a SavedModel with about.json and a sample request."""

import shlex
from pathlib import Path

from exporting import model_info, replay, warmup_records
from exporting.parity_check import ParityResult, check_parity
from inference import artifacts, saving
from inference.artifacts import ABOUT
from inference.drift.reference import REFERENCE
from inference.modalities import modality_of
from training.run import Run, write_json

SAMPLE_REQUEST = "sample-request.json"
SERVED_FILES = ("saved_model.pb", "variables/*", "assets/*")


def write(run: Run, directory: Path, *, with_examples: bool = False) -> ParityResult:
    """Write a SavedModel and the files beside it; return the result of the parity check.

    The published examples are made from the schema, or with `with_examples` taken from the test
    set; every client of the server can read them. Raises ParityError if a fresh process gives other
    outputs than training.
    """
    modality = modality_of(run)
    functions = modality.signatures(run)
    saving.save(run, directory, functions)
    signatures = saving.concrete_functions(functions)
    samples = modality.sample_inputs(run.samples.raw, run)
    published = samples
    if not with_examples:
        published = modality.sample_inputs(modality.synthetic_features(run), run)
    info = model_info.describe(run, signatures, published, with_examples=with_examples)
    write_json(directory / ABOUT, info)
    request = {"signature_name": info["example_signature"], "instances": info["examples"]}
    write_json(directory / SAMPLE_REQUEST, request)
    if (run.path / REFERENCE).exists():  # written by the evaluation
        write_json(directory / REFERENCE, artifacts.read(run.path / REFERENCE))
    warmup_records.write(directory, run.manifest["app"], published)
    return check_parity(run, "an export", [replay.__file__, str(directory)], samples)


def size(directory: Path) -> int:
    """Return the bytes of the files that a server loads."""
    return sum(path.stat().st_size for part in SERVED_FILES for path in directory.glob(part))


def curl(app: str, directory: Path) -> str:
    """Return the command that sends the sample request to a server on the default port."""
    request = shlex.quote(f"@{directory / SAMPLE_REQUEST}")
    return f"curl -d {request} http://127.0.0.1:8501/v1/models/{app}:predict"
