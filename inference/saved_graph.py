"""Call the SavedModel in a run directory, so that `predict` needs no Keras and a third of the time.

Training, or the first `predict`, saves it next to `model.keras`. It records the signature of the
run, so that a graph of another user or of another model is never loaded.
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
TIMEOUT_SECONDS = 1e6  # practically infinite


def is_current(run: Run) -> bool:
    """Whether the run has a graph of this user and of its model; needs no TensorFlow."""
    return _is_of_run(run.path / GRAPH, run)


def _is_of_run(directory: Path, run: Run) -> bool:
    try:
        if not directory.is_dir():
            return False
        provenance.require_signature(directory, provenance.EXPORT_FILES)
        # A valid signature of the run proves that its model has not changed since.
        provenance.require_signature(run.path, provenance.RUN_FILES)
        return read(directory / ABOUT).get("run") == _run_signature(run)
    except (provenance.ProvenanceError, OSError):
        return False


def _run_signature(run: Run) -> str:
    return (run.path / provenance.SIGNATURE_FILE).read_text("ascii")


def call(run: Run, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Compute the named outputs, by the graph if it is current and the model is not in memory.

    Raises RequestError if the model fails on these inputs.
    """
    graph = None if "model" in vars(run) else _opened(run)
    # The graph of an older version may lack a signature.
    if graph is not None and signature in graph.signatures:
        return graph.run_within(graph.signature(signature), dict(inputs), TIMEOUT_SECONDS)
    import tensorflow as tf

    from inference.request_errors import translated

    # The dtype of an empty array of texts is not inferred.
    tensors = {
        name: tf.constant(array, tf.string if array.dtype == object else None)
        for name, array in inputs.items()
    }
    try:
        outputs = _functions(run)[signature](**tensors)
    except tf.errors.OpError as error:
        raise translated(error) from error
    return {name: array.numpy() for name, array in outputs.items()}


def vocabularies(run: Run) -> dict[str, Any]:
    """Return the texts that the model knows: `categories` for rows, `users` and `items` for ids."""
    if "vocabularies" not in vars(run):
        from inference.modalities import modality_of

        graph = None if "model" in vars(run) else _opened(run)
        texts = graph.about["facts"] if graph else modality_of(run).vocabularies(run)
        run.remember(vocabularies=texts)
    return vars(run)["vocabularies"]


def _opened(run: Run) -> Any:
    """Return the loaded graph of a run; None if it is not current."""
    if "graph" not in vars(run):
        with tempfile.TemporaryDirectory() as folder:
            run.remember(graph=_loaded(run, Path(folder) / GRAPH))
    return vars(run)["graph"]


def _loaded(run: Run, copy: Path) -> Any:
    """Load a copy, so that the checked files are the loaded ones even if another process writes."""
    from inference.servable import Servable

    try:
        shutil.copytree(run.path / GRAPH, copy)
    except OSError:
        return None
    return Servable(copy, 0) if _is_of_run(copy, run) else None


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

    temporary = Path(tempfile.mkdtemp(prefix=f".{GRAPH}-", dir=run.path))
    try:
        saving.save(run, temporary, _functions(run))
        write_json(temporary / ABOUT, {"run": _run_signature(run), "facts": vocabularies(run)})
        provenance.sign(temporary, provenance.EXPORT_FILES)
        temporary.chmod(0o755)
        with (
            run.path / provenance.SIGNATURE_FILE
        ).open() as lock:  # one process at a time changes the name
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.rmtree(run.path / GRAPH, ignore_errors=True)
            temporary.rename(run.path / GRAPH)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
