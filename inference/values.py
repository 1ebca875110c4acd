"""Predictions for values of Python: frames, lists of texts, arrays of images, ids."""

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from apps.app import ModalityName
from inference.inputs import Note, UnreadableError, print_note
from inference.predict import predict
from pipelines import frames
from training.run import Run

Predictions = list[dict[str, Any]]


def predict_values(run: Run, values: Any, note: Note = print_note) -> Predictions:
    """Return a prediction for each value; `input` is its text, its path, or the number of its row.

    Args:
        run: the trained run.
        values: for rows a frame, a dict of columns, a list of dicts or one dict; for images an
            array [n, height, width(, channels)]; for texts a list of texts; for ids a list of
            users, of (user, item) pairs, or a frame of both. A Path is a file, as on the command
            line; for rows and images so is a text.
        note: is called with lines about what reading found.

    Raises:
        UnreadableError: for other values.

    """
    if isinstance(values, Path):
        return predict(run, [str(values)], note)
    if isinstance(values, str):
        values = [values]
    if isinstance(values, Mapping) and not any(map(_is_column, values.values())):
        values = [values]
    return PREDICT[run.modality](run, values, note)


def _is_column(value: Any) -> bool:
    return isinstance(value, list | tuple) or hasattr(value, "tolist") or hasattr(value, "to_list")


def _is_table(values: Any) -> bool:
    if isinstance(values, list):
        return bool(values) and all(isinstance(row, Mapping) for row in values)
    return isinstance(values, Mapping) or hasattr(values, "columns")


def _rows(run: Run, values: Any, note: Note) -> Predictions:
    if not _is_table(values):
        return predict(run, _paths(values, "a data frame, a list of dicts, or CSV files"), note)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        numbers = frames.write_table(values, path)
        return _numbered(predict(run, [str(path)], note), numbers)


def _images(run: Run, values: Any, note: Note) -> Predictions:
    if not hasattr(values, "ndim"):
        return predict(run, _paths(values, "an array of images, or image files"), note)
    import tensorflow as tf

    from pipelines.images.pixel_arrays import pixels

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, image in enumerate(pixels("images", values)):
            paths.append(str(Path(folder) / f"{number}.png"))
            Path(paths[-1]).write_bytes(tf.io.encode_png(image).numpy())
        return _numbered(predict(run, paths, note), range(len(paths)))


def _texts(run: Run, values: Any, note: Note) -> Predictions:
    if _is_table(values):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "texts.csv"
            frames.write_table(values, path)
            return predict(run, [str(path)], note)
    from inference.modalities.texts import predict_texts

    predictions: Predictions = []
    for value in _listed(values, "a list of texts, or a data frame"):
        if isinstance(value, Path):
            predictions += predict(run, [str(value)], note)
        else:
            predictions += predict_texts(run, [value])
    return predictions


def _ids(run: Run, values: Any, note: Note) -> Predictions:
    if _is_table(values):
        return _rows(run, values, note)
    expected = "a list of users, of (user, item) pairs, or a data frame of both"
    lines = [_ids_line(value) for value in _listed(values, expected)]
    return predict(run, lines, note)


def _ids_line(value: Any) -> str:
    """Return a user or (user, item), as on the command line."""
    line = io.StringIO()
    cells = value if isinstance(value, tuple) else [value]
    csv.writer(line, lineterminator="").writerow(map(str, cells))
    return line.getvalue()


def _listed(values: Any, expected: str) -> list[Any]:
    for method in ("to_list", "tolist"):
        if hasattr(values, method):
            values = getattr(values, method)()
    if not isinstance(values, Iterable):
        raise UnreadableError(f"Received a {type(values).__name__}; expected {expected}.")
    return list(values)


def _paths(values: Any, expected: str) -> list[str]:
    paths = _listed(values, expected)
    if wrong := [one for one in paths if not isinstance(one, str | Path)]:
        raise UnreadableError(f"Received a {type(wrong[0]).__name__}; expected {expected}.")
    return [str(path) for path in paths]


def _numbered(predictions: Predictions, numbers: Iterable[int]) -> Predictions:
    """Return the same with the numbers of the inputs, in place of names of files that are gone."""
    return [row | {"input": number} for row, number in zip(predictions, numbers, strict=True)]


PREDICT: dict[ModalityName, Callable[[Run, Any, Note], Predictions]] = {
    "row": _rows,
    "image": _images,
    "text": _texts,
    "ids": _ids,
}
