"""Predict new inputs with a run on the disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.inputs import Note, print_note
from inference.modalities import id_lists, modality_of
from inference.options import PredictOptions
from inference.values import Predictions, is_column
from training.run import Run

DEFAULT_OPTIONS = PredictOptions()


def predict(
    run: Run,
    inputs: list[str],
    note: Note = print_note,
    options: PredictOptions = DEFAULT_OPTIONS,
) -> list[dict[str, Any]]:
    """Predict each input; each result names its input under `input`.

    The modality says what an input is: an image file, a CSV file of rows, a text, an id. An image
    that cannot be read has an `error` in place of a prediction. `note` is called with lines about
    the inputs. `options` about lists are for the recommender. Raises UnreadableError if no input
    can be read.
    """
    if options.list_flags():
        return id_lists.predict(run, inputs, options, note)
    return modality_of(run).predict(run, inputs, note)


def predict_values(
    run: Run,
    values: Any,
    note: Note = print_note,
    options: PredictOptions = DEFAULT_OPTIONS,
) -> Predictions:
    """Return a prediction for each value; `input` is its text, its path, or the number of its row.

    Args:
        run: the trained run.
        values: for rows a frame, a dict of columns, a list of dicts or one dict; for images an
            array [n, height, width(, channels)]; for texts a list of texts; for ids a list of
            users, of (user, item) pairs, or a frame of both. A Path is a file, as on the command
            line; for rows and images so is a text.
        note: is called with lines about what reading found.
        options: those about lists are for the recommender; with liked items `values` is None.

    Raises:
        UnreadableError: for other values.

    """
    if isinstance(values, Path):
        return predict(run, [str(values)], note, options)
    if isinstance(values, str):
        values = [values]
    if isinstance(values, Mapping) and not any(map(is_column, values.values())):
        values = [values]
    if options.list_flags():
        return id_lists.predict_values(run, values, options, note)
    return modality_of(run).predict_values(run, values, note)


def examples(run: Run, count: int = 3) -> list[str]:
    """Write test examples to the run's folder examples/; returns them as inputs of `predict`."""
    folder = run.path / "examples"
    folder.mkdir(exist_ok=True)
    batch = run.splits.test.numpy(slice(0, count))
    return modality_of(run).write_examples(folder, batch, run)
