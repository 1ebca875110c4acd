"""Texts: a signature over strings; texts, and files of them, from the command line."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.inputs import (
    Note,
    UnreadableError,
    is_a_file,
    is_table_address,
    noted,
    read_table,
)
from inference.named_outputs import named_function, predict_rows
from inference.portable import Portable, RefusedError
from inference.values import TABLE_FILE, Predictions, as_list, is_table, note_of_rows
from pipelines import frames
from pipelines.examples import Batch
from pipelines.table_paths import kind_of_file
from pipelines.tables import csv_files, text_files
from pipelines.tables.table import Table, listed
from pipelines.tables.text_files import TextFile
from pipelines.texts.reading import Columns, names_in, text_cells, text_column
from pipelines.texts.stored_texts import empty_of
from training.run import Run

NAME: ModalityName = "text"
BATCH_SIZE = 256
TABLE_SUFFIXES = {".csv", ".tsv", ".tab", ".psv"}  # of files of columns
LINE_SUFFIXES = {"", ".txt", ".text", ".md", ".log"}  # of files with a text on each line
SYNTHETIC_TEXTS = (
    "A text to begin with.",
    "Another one, somewhat longer than the first: it has two parts.",
    "Is this the last example?",
)


def signatures(run: Run) -> dict[str, Any]:
    """Return one function over UTF-8 strings, with named outputs."""
    predict_batch = named_function(run)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")], autograph=False)
    def texts(text: Any) -> dict[str, Any]:
        return predict_batch(text)

    return {"serving_default": texts}


def sample_inputs(raw: np.ndarray, run: Run) -> dict[str, np.ndarray]:  # noqa: ARG001
    """Return texts as inputs of the signature."""
    return {"serving_default/input/text": raw.astype("S")}


def vocabularies(run: Run) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the vocabulary of the model stays in its graph."""
    return {}


def predict_functions(run: Run) -> dict[str, Any]:
    """Return the functions for `predict`: those of an export."""
    return signatures(run)


def portable(run: Run) -> Portable:  # noqa: ARG001
    """Raise RefusedError: no table can replace the tokenization of texts."""
    raise RefusedError(
        "Received a run of texts for LiteRT or ONNX; expected a model that reads numbers. Words "
        "are found by regular expressions over Unicode's classes, and n-grams and prefixes are "
        "hashed: neither format has such operations on texts, and no table can replace them. "
        "Serve the SavedModel: leave --format out.",
        reason="texts are cut by expressions and hashed",
    )


def synthetic_features(run: Run) -> np.ndarray:  # noqa: ARG001
    """Return three invented texts."""
    return np.array([text.encode() for text in SYNTHETIC_TEXTS], object)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: every artifact already describes texts."""
    return {}


def predict(run: Run, inputs: list[str], note: Note) -> list[dict[str, Any]]:
    """Predict the class of each text, its probability, and the next two classes."""
    column = run.manifest["reading"]["column"]
    return predict_texts(run, [text for word in inputs for text in read(word, column, note)])


def predict_values(run: Run, values: Any, note: Note) -> Predictions:
    """Predict a list of texts and Paths of files, or the texts of a table."""
    if is_table(values):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / TABLE_FILE
            numbers = frames.write_table(values, path).tolist()
            return predict(run, [str(path)], note_of_rows(note, numbers))
    predictions: Predictions = []
    for value in as_list(values, "a list of texts, or a data frame"):
        if isinstance(value, Path):
            predictions += predict(run, [str(value)], note)
        else:
            predictions += predict_texts(run, [value])
    return predictions


def predict_texts(run: Run, texts: list[str]) -> list[dict[str, Any]]:
    """Predict as `predict` does, for texts that are not file names."""
    raw = np.array([text.encode("utf-8", "replace") for text in texts], dtype=object)
    batches = (raw[i : i + BATCH_SIZE] for i in range(0, len(raw), BATCH_SIZE))
    predictions = [
        row for batch in batches for row in predict_rows(run, "serving_default", {"text": batch})
    ]
    return [{"input": text, **row} for text, row in zip(texts, predictions, strict=True)]


def read(word: str, column: str, note: Note) -> list[str]:
    """Return a text itself; the lines of a text file; the cells of a column of a table.

    Raises UnreadableError for the name of a file that does not exist, is empty or of another
    kind; DataError if its content cannot be read.
    """
    if is_table_address(word):
        return _cells(read_table(word, note), column, note)
    if not is_a_file(word):
        return [word]
    if kind_of_file(word) not in ("csv", "npz"):
        return _cells(read_table(word, note), column, note)
    with text_files.opened(word) as file:
        if file.suffix not in TABLE_SUFFIXES | LINE_SUFFIXES:
            reason = f"{file.suffix} is not a suffix of text files"
        else:
            is_table = file.suffix in TABLE_SUFFIXES
            texts = (
                _cells(noted(csv_files.read_open(file), note), column, note)
                if is_table
                else _lines(file, note)
            )
            if texts:
                return texts
            reason = "it is empty"
    raise UnreadableError(
        f"Received the file {word!r}: {reason}; expected a text, a .txt file with a text a line, "
        "or a .csv file."
    )


def _cells(table: Table, column: str, note: Note) -> list[str]:
    missing = [name for name in names_in(column, table) if name not in ("", *table.columns)]
    if missing:
        raise UnreadableError(
            f"Received {table.name} with the columns {listed(table.columns)}; expected "
            f"{missing[0]!r}, the column of texts in training. Rename the column of texts, or give "
            "a .txt file with a text a line."
        )
    cells = text_cells(table, text_column(table, Columns(column)))
    if len(empty := np.flatnonzero(empty_of(cells))):
        counted = f"{len(empty)} row{'s' * (len(empty) > 1)} without a text"
        note(f"{counted}, such as {table.where(int(empty[0]))}: the model has nothing to go by")
    return [cell.decode() for cell in cells.tolist()]


def _lines(file: TextFile, note: Note) -> list[str]:
    for line in file.notes:
        note(line)
    with file.lines() as lines:
        return [line.rstrip("\r\n") for line in lines]


def write_examples(folder: Path, batch: Batch, run: Run) -> list[str]:  # noqa: ARG001
    """Return the texts themselves."""
    return [text.decode("utf-8", "replace") for text in batch.features]
