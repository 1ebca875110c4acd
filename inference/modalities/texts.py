"""Questions that are texts: a signature over strings; texts and files of them from the user."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.inputs import UnreadableError, is_a_file, tell, told
from inference.named_outputs import named, rows
from inference.portable import Portable, RefusedError
from pipelines.examples import Batch
from pipelines.tables import csv_files, text_files
from pipelines.tables.text_files import TextFile
from pipelines.texts.reading import Columns, text_column
from training.run import Run

NAME: ModalityName = "text"
BATCH = 256
# Endings of files that hold columns, and of those that hold a text a line.
TABLES, LINES = {".csv", ".tsv", ".tab", ".psv"}, {"", ".txt", ".text", ".md", ".log"}
SYNTHETIC_TEXTS = (
    "A text to begin with.",
    "Another one, somewhat longer than the first: it has two parts.",
    "Is this the last example?",
)


def signatures(run: Run) -> dict[str, Any]:
    """One function over UTF-8 strings, with named outputs."""
    answer = named(run)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")], autograph=False)
    def texts(text: Any) -> dict[str, Any]:
        return answer(text)

    return {"serving_default": texts}


def sample_inputs(raw: np.ndarray, run: Run) -> dict[str, np.ndarray]:  # noqa: ARG001
    """The same texts as input of the signature."""
    return {"serving_default/input/text": raw.astype("S")}


def vocabularies(run: Run) -> dict[str, Any]:  # noqa: ARG001
    """Nothing: the answers say all that `predict` has to know."""
    return {}


def predict_functions(run: Run) -> dict[str, Any]:
    """The functions by which `predict` asks."""
    return signatures(run)


def portable(run: Run) -> Portable:  # noqa: ARG001
    """None: no table can stand for how texts are read. Raises RefusedError."""
    raise RefusedError(
        "Received a run of texts for LiteRT or ONNX; expected a model that reads numbers. Texts "
        "are cut into words by regular expressions over Unicode's classes, and runs and beginnings "
        "of words are hashed: neither format can replace by an expression or hash a text, and "
        "no table beside the file can say it. Serve the SavedModel: leave --format away.",
        reason="texts are cut by expressions and hashed",
    )


def synthetic_features(run: Run) -> np.ndarray:  # noqa: ARG001
    """Three texts that nobody wrote."""
    return np.array([text.encode() for text in SYNTHETIC_TEXTS], object)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """Nothing but what every artifact tells."""
    return {}


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """Of each text the class, its probability, and the next two guesses."""
    column = run.manifest["reading"]["column"]
    return predict_texts(run, [text for given in inputs for text in read(given, column)])


def predict_texts(run: Run, texts: list[str]) -> list[dict[str, Any]]:
    """`predict` for texts, none of which is the name of a file."""
    raw = np.array([text.encode("utf-8", "replace") for text in texts], dtype=object)
    batches = (raw[i : i + BATCH] for i in range(0, len(raw), BATCH))
    answers = [row for batch in batches for row in rows(run, "serving_default", {"text": batch})]
    return [{"input": text, **row} for text, row in zip(texts, answers, strict=True)]


def read(given: str, column: str) -> list[str]:
    """A text; or of a file each line, or the cells of a column where it is a table.

    Raises UnreadableError where a word is the name of a file, and it is not there, empty or of
    another kind; DataError where its content cannot be read.
    """
    if not is_a_file(given):
        return [given]
    with text_files.opened(given) as file:
        if file.suffix not in TABLES | LINES:
            reason = f"its ending {file.suffix} is that of no text"
        elif texts := _cells(file, column) if file.suffix in TABLES else _lines(file):
            return texts
        else:
            reason = "it is empty"
    raise UnreadableError(
        f"Received the file {given!r}: {reason}; expected a text, a .txt file with a text a line, "
        "or a .csv file."
    )


def _cells(file: TextFile, column: str) -> list[str]:
    read = told(csv_files.read_open(file))
    cells = read.columns[text_column(read, Columns(column))]
    return [cell.decode() for cell in cells]


def _lines(file: TextFile) -> list[str]:
    for note in file.notes:
        tell(note)
    with file.lines() as lines:
        return [line.rstrip("\r\n") for line in lines]


def write_examples(folder: Path, some: Batch, run: Run) -> list[str]:  # noqa: ARG001
    """The texts themselves."""
    return [text.decode("utf-8", "replace") for text in some.features]
