"""The SavedModel in a run directory: `predict` calls it without Keras, in a third of the time.

Training, or the first `predict`, saves it beside `model.keras`. It names the signature of the run:
a graph of another user or of another model is never loaded.
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inference.artifacts import ABOUT, read
from training import provenance
from training.run import Run, write_json

GRAPH = "graph"
TIMEOUT_SECONDS = 1e6  # practically none: the caller waits for its own process


def is_current(run: Run) -> bool:
    """Whether the run has a graph of this user and of its model; needs no TensorFlow."""
    return _belongs(run.path / GRAPH, run)


def _belongs(directory: Path, run: Run) -> bool:
    try:
        if not directory.is_dir():
            return False
        provenance.require_signature(directory, provenance.EXPORT_FILES)
        # A valid signature of the run says that its model has not changed since.
        provenance.require_signature(run.path, provenance.RUN_FILES)
        return read(directory / ABOUT).get("run") == _mark(run)
    except (provenance.ProvenanceError, OSError):
        return False


def _mark(run: Run) -> str:
    return (run.path / provenance.SIGNATURE_FILE).read_text("ascii")


def call(run: Run, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Compute the named outputs, by the graph if it is current and the model is not in memory.

    Raises RequestError if the model fails on these inputs.
    """
    if "model" not in vars(run) and (opened := _opened(run)) is not None:
        return opened.run_within(opened.signature(signature), dict(inputs), TIMEOUT_SECONDS)
    import tensorflow as tf

    from inference.request_errors import translated

    # The dtype of an empty array of texts is not inferred.
    tensors = {
        name: tf.constant(one, tf.string if one.dtype == object else None)
        for name, one in inputs.items()
    }
    try:
        outputs = _functions(run)[signature](**tensors)
    except tf.errors.OpError as error:
        raise translated(error) from error
    return {name: one.numpy() for name, one in outputs.items()}


def vocabularies(run: Run) -> dict[str, Any]:
    """Texts that the model knows: `categories` by column for rows, `users` and `items` for ids."""
    if "vocabularies" not in vars(run):
        from inference.modalities import modality_of

        opened = None if "model" in vars(run) else _opened(run)
        found = opened.about["facts"] if opened else modality_of(run).vocabularies(run)
        run.remember(vocabularies=found)
    return vars(run)["vocabularies"]


def _opened(run: Run) -> Any:
    """Return the loaded graph of a run; None if it is not current."""
    if "graph" not in vars(run):
        with tempfile.TemporaryDirectory() as place:
            run.remember(graph=_loaded(run, Path(place) / GRAPH))
    return vars(run)["graph"]


def _loaded(run: Run, copy: Path) -> Any:
    """Load a copy, so that the checked files are the loaded ones even if another process writes."""
    from inference.servable import Servable

    try:
        shutil.copytree(run.path / GRAPH, copy)
    except OSError:
        return None
    return Servable(copy, 0) if _belongs(copy, run) else None


def _functions(run: Run) -> dict[str, Any]:
    if "predict_functions" not in vars(run):
        from inference.modalities import modality_of

        run.remember(predict_functions=modality_of(run).predict_functions(run))
    return vars(run)["predict_functions"]


def save(run: Run) -> None:
    """Write the graph of a run of this user, unless it has a current one.

    If it cannot be written, `predict` keeps loading the Keras model, which only takes longer.
    """
    if is_current(run):
        return
    import tensorflow as tf

    with contextlib.suppress(provenance.ProvenanceError, OSError, tf.errors.OpError):
        provenance.require_signature(run.path, provenance.RUN_FILES)
        # Variables of several devices cannot be saved; those of the file can.
        _write(run if run.manifest["replicas"] == 1 else Run.load(run.path))


def _write(run: Run) -> None:
    from inference import saving

    functions = {
        name: getattr(one, "get_concrete_function", lambda one=one: one)()
        for name, one in _functions(run).items()
    }
    beside = Path(tempfile.mkdtemp(prefix=f".{GRAPH}-", dir=run.path))
    try:
        saving.save(run, beside, functions)
        write_json(beside / ABOUT, {"run": _mark(run), "facts": vocabularies(run)})
        provenance.sign(beside, provenance.EXPORT_FILES)
        beside.chmod(0o755)
        with (
            run.path / provenance.SIGNATURE_FILE
        ).open() as held:  # one process at a time changes the name
            fcntl.flock(held, fcntl.LOCK_EX)
            shutil.rmtree(run.path / GRAPH, ignore_errors=True)
            beside.rename(run.path / GRAPH)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(beside)
