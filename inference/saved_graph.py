"""The saved graph of a run, by which it is asked without Keras, in a third of the time.

It is kept beside `model.keras` when a run is trained, or first asked, and belongs to that model
by the run's mark: a graph that somebody else made, or made from another model, is never loaded.
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
SECONDS = 1e6  # no answer of a process of one's own is given up


def is_current(run: Run) -> bool:
    """Whether the graph of a run is this user's and made from its model; without TensorFlow."""
    return _belongs(run.path / GRAPH, run)


def _belongs(directory: Path, run: Run) -> bool:
    try:
        if not directory.is_dir():
            return False
        provenance.require_signature(directory, provenance.EXPORT_FILES)
        # The mark says of which model the graph is, and holds while nobody changes that.
        provenance.require_signature(run.path, provenance.RUN_FILES)
        return read(directory / ABOUT).get("run") == _mark(run)
    except (provenance.ProvenanceError, OSError):
        return False


def _mark(run: Run) -> str:
    return (run.path / provenance.SIGNATURE_FILE).read_text("ascii")


def ask(run: Run, signature: str, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The outputs by name: by the model where it is in memory, else by the graph, if it is current.

    Raises RequestError where they cannot be answered.
    """
    if "model" not in vars(run) and (opened := _opened(run)) is not None:
        return opened.run_within(opened.signature(signature), dict(arrays), SECONDS)
    import tensorflow as tf

    from inference.request_errors import translated

    # Of no text at all TensorFlow cannot tell that it is one.
    given = {
        name: tf.constant(one, tf.string if one.dtype == object else None)
        for name, one in arrays.items()
    }
    try:
        found = _functions(run)[signature](**given)
    except tf.errors.OpError as error:
        raise translated(error) from error
    return {name: one.numpy() for name, one in found.items()}


def vocabularies(run: Run) -> dict[str, Any]:
    """What `predict` has to know of the model beside its answers, by kind of question.

    Of rows `categories`: by column the texts that the model knows; of ids `users` and `items`.
    """
    if "vocabularies" not in vars(run):
        from inference.modalities import modality_of

        opened = None if "model" in vars(run) else _opened(run)
        found = opened.about["facts"] if opened else modality_of(run).vocabularies(run)
        run.remember(vocabularies=found)
    return vars(run)["vocabularies"]


def _opened(run: Run) -> Any:
    """The graph of a run, loaded; None where it is not current."""
    if "graph" not in vars(run):
        with tempfile.TemporaryDirectory() as place:
            run.remember(graph=_loaded(run, Path(place) / GRAPH))
    return vars(run)["graph"]


def _loaded(run: Run, copy: Path) -> Any:
    """From a copy: what is checked is what is loaded, whoever replaces the graph meanwhile."""
    from inference.servable import Servable

    try:
        shutil.copytree(run.path / GRAPH, copy)
    except OSError:
        return None
    return Servable(copy, 0) if _belongs(copy, run) else None


def _functions(run: Run) -> dict[str, Any]:
    if "asked" not in vars(run):
        from inference.modalities import modality_of

        run.remember(asked=modality_of(run).predict_functions(run))
    return vars(run)["asked"]


def keep(run: Run) -> None:
    """Write the graph of a run of this user's, whole, where it has no current one.

    Where it cannot be written the model answers as ever, only later.
    """
    import tensorflow as tf

    with contextlib.suppress(provenance.ProvenanceError, OSError, tf.errors.OpError):
        provenance.require_signature(run.path, provenance.RUN_FILES)
        if not is_current(run):
            # Variables of several devices are not those of the file.
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
