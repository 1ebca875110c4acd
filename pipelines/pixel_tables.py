"""CSV files of small images: a label, and the levels of its pixels, row by row."""

import csv
import gzip
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.examples import AddressError, DataError, Examples
from pipelines.files import at_home
from pipelines.pixel_arrays import pixels
from pipelines.splits import Source

LABELS = ("label", "labels", "class", "target", "y", "digit", "character")
SEPARATORS = ",;\t|"
GZIP = b"\x1f\x8b"
EXPECTED = (
    "expected a column of labels (label, class, target, or the first) and a square number of "
    "columns of pixels from 0 to 255"
)


def source(name: str) -> Source:
    """Images of a CSV file, plain or compressed by gzip, with or without a line of names.

    Raises DataError where the columns are no label and pixels.
    """
    address, path = f"csv:{name}", at_home(name)
    try:
        first = _first_line(path)
        separator = max(SEPARATORS, key=first.count)
        names = next(csv.reader([first], delimiter=separator))
        has_names = not all(map(_is_number, names[1:]))
        label = _label(names) if has_names else 0
        found, levels = _columns(path, separator, names, label, skipped=int(has_names))
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise AddressError(
            f"Received {address}, which cannot be read ({reason}); {EXPECTED}."
        ) from error
    except ValueError as error:
        raise DataError(f"Received {address}, where {error}; {EXPECTED}.") from error
    if levels.shape[1] == 0 or round(levels.shape[1] ** 0.5) ** 2 != levels.shape[1]:
        raise DataError(f"Received {address} with {levels.shape[1]} columns of pixels; {EXPECTED}.")
    labels, target = np.unique(found, return_inverse=True)
    if np.all(np.char.isdigit(labels)):
        order = np.argsort(labels.astype("int64"), kind="stable")
        labels, target = labels[order], np.argsort(order)[target]
    examples = Examples.of(pixels(address, levels), target.astype("int64"))
    return Source(examples, labels=tuple(map(str, labels)))


def _first_line(path: Path) -> str:
    """Raises ValueError where the file has no second line."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
    with gzip.open(path) if packed else path.open("rb") as file:
        first, second = file.readline(), file.readline()
    if not second.strip():
        raise ValueError("no row of pixels was found")
    return first.decode("utf-8-sig").rstrip("\r\n")


def _is_number(cell: str) -> bool:
    return cell.strip().strip('"').replace(".", "", 1).isdigit()


def _label(names: Sequence[str]) -> int:
    """The place of the labels: a column of a usual name, else the first."""
    plain = [name.strip().lower() for name in names]
    return next((plain.index(name) for name in LABELS if name in plain), 0)


def _columns(
    path: Path, separator: str, names: Sequence[str], label: int, *, skipped: int
) -> tuple[np.ndarray, np.ndarray]:
    """The labels as they are written, and the pixels of each row."""
    numbers = [place for place in range(len(names)) if place != label]
    options: dict[str, Any] = {
        "delimiter": separator,
        "skiprows": skipped,
        "comments": None,
        "quotechar": '"',
        "encoding": "utf-8-sig",
        "ndmin": 2,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of no rows
        levels = np.loadtxt(path, "float32", usecols=numbers, **options)
        labels = np.loadtxt(path, str, usecols=[label], **options)[:, 0]
    return np.char.strip(labels), levels
