"""Read CSV files of small images: each row holds a label and the pixels of an image."""

import csv
import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.images.pixel_arrays import pixels
from pipelines.labels import find_labels
from pipelines.splits import Source
from pipelines.tables import separators, text_files
from pipelines.tables.cells import numbers_in
from pipelines.tables.separators import Layout
from pipelines.tables.text_files import TextFile

LABELS = ("label", "labels", "class", "target", "y", "digit", "character")
EXPECTED = (
    "expected a column of labels (label, class, target, or the first) and a square number of "
    "columns of pixels from 0 to 255"
)


def source(name: str) -> Source:
    """Read the images of a CSV file, in any form that tables have, with or without column names.

    Rows without a label are left out. Raises DataError if the columns are not a label and pixels.
    """
    address = f"csv:{name}"
    with text_files.opened(name) as file:
        try:
            label_cells, levels = _columns(file)
        except ValueError as error:
            raise DataError(f"Received {address}, where {error}; {EXPECTED}.") from error
    if levels.shape[1] == 0 or round(levels.shape[1] ** 0.5) ** 2 != levels.shape[1]:
        raise DataError(f"Received {address} with {levels.shape[1]} columns of pixels; {EXPECTED}.")
    cells = np.array([*map(str.encode, label_cells.tolist()), None], object)[:-1]
    labels = find_labels([cells])
    target = labels.numbers(cells)
    labelled = target >= 0
    num_unlabelled = len(target) - np.count_nonzero(labelled)
    notes = (
        (f"{num_unlabelled} rows without a label left out{labels.missing_words_note()}",)
        if num_unlabelled
        else ()
    )
    examples = Examples.of(pixels(address, levels[labelled]), target[labelled])
    return Source(examples, labels=labels.names, notes=(*file.notes, *labels.notes, *notes))


def _columns(file: TextFile) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels as written, and the pixels of each row.

    Raises ValueError if the file has no second line or a pixel is not a number.
    """
    layout = separators.layout(file)
    with file.lines() as text:
        first, second = [
            *itertools.islice(text, layout.num_skipped, layout.num_skipped + 2),
            "",
            "",
        ][:2]
    if not second.strip():
        raise ValueError("no row of pixels was found")
    names = next(csv.reader([first], delimiter=layout.separator))
    has_names = not np.isfinite(numbers_in([cell.encode() for cell in names[1:]])).all()
    label = _label(names) if has_names else 0
    layout = layout._replace(num_skipped=layout.num_skipped + has_names)
    pixel_columns = [index for index in range(len(names)) if index != label]
    levels = _read(file, layout, pixel_columns, "float32")
    return np.char.strip(_read(file, layout, [label], str)[:, 0]), levels


def _label(names: Sequence[str]) -> int:
    """Return the index of the label column: by a common name, else the first."""
    plain = [name.strip().lower() for name in names]
    return next((plain.index(name) for name in LABELS if name in plain), 0)


def _read(file: TextFile, layout: Layout, columns: Sequence[int], dtype: Any) -> np.ndarray:
    with file.lines() as text, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are no rows
        return np.loadtxt(
            itertools.islice(text, layout.num_skipped, None),
            dtype,
            delimiter=layout.separator,
            comments=None,
            quotechar='"',
            usecols=columns,
            ndmin=2,
        )
