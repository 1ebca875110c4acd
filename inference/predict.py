"""Predict new inputs with a run on the disk."""

from typing import Any

from inference.inputs import Note, print_note
from inference.modalities import modality_of
from training.run import Run


def predict(run: Run, inputs: list[str], note: Note = print_note) -> list[dict[str, Any]]:
    """Predict each input; the result holds it under `input`.

    The modality says what an input is: an image file, a CSV file of rows, a text, an id. An image
    that cannot be read has an `error` in place of a prediction. `note` is called with lines about
    what reading found. Raises UnreadableError if no input can be read.
    """
    return modality_of(run).predict(run, inputs, note)


def examples(run: Run, count: int = 3) -> list[str]:
    """Write test examples to the run's folder examples/; returns them as inputs of `predict`."""
    folder = run.path / "examples"
    folder.mkdir(exist_ok=True)
    batch = run.splits.test.numpy(slice(0, count))
    return modality_of(run).write_examples(folder, batch, run)
