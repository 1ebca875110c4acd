"""Read Python values as inputs of a model: frames, lists, arrays."""

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.inputs import Note, UnreadableError
from pipelines import frames

TABLE_FILE = "rows.feather"  # the temporary file of a table

Predictions = list[dict[str, Any]]


def is_column(value: Any) -> bool:
    """Return whether a value of a dict is a column of several cells."""
    return isinstance(value, list | tuple) or hasattr(value, "tolist") or hasattr(value, "to_list")


def is_table(values: Any) -> bool:
    """Whether values are a frame, a dict of columns, or a list of dicts."""
    if isinstance(values, list):
        return bool(values) and all(isinstance(row, Mapping) for row in values)
    return isinstance(values, Mapping) or hasattr(values, "columns")


def as_list(values: Any, expected: str) -> list[Any]:
    """Return values as a list. Raises UnreadableError, which names what is expected."""
    for method in ("to_list", "tolist"):
        if hasattr(values, method):
            values = getattr(values, method)()
    if not isinstance(values, Iterable):
        raise UnreadableError(f"Received a {type(values).__name__}; expected {expected}.")
    return list(values)


def as_paths(values: Any, expected: str) -> list[str]:
    """Return paths as texts. Raises UnreadableError if one is not a path."""
    paths = as_list(values, expected)
    if wrong := [path for path in paths if not isinstance(path, str | Path)]:
        raise UnreadableError(f"Received a {type(wrong[0]).__name__}; expected {expected}.")
    return [str(path) for path in paths]


def numbered(predictions: Predictions, numbers: Iterable[int]) -> Predictions:
    """Name each prediction by the number of its input, since its file was temporary."""
    return [row | {"input": number} for row, number in zip(predictions, numbers, strict=True)]


def predict_table(
    values: Any, predict: Callable[[list[str], Note], Predictions], note: Note
) -> Predictions:
    """Predict the rows of a table as those of a file; `input` is the number of the row."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TABLE_FILE
        numbers = frames.write_table(values, path).tolist()
        return numbered(predict([str(path)], note_of_rows(note, numbers)), numbers)


def note_of_rows(note: Note, numbers: Sequence[int]) -> Note:
    """Return a note that names the rows of a table, since the user has not seen its file."""

    def row(record: re.Match[str]) -> str:
        return f"row {numbers[int(record[1])]}"

    return lambda text: note(re.sub(r"\brecord (\d+)", row, text))
