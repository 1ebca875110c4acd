"""Find the columns of a table that hold the paths of images, and their classes.

This module does not import TensorFlow, so that a wrong name is reported at once.
"""

from collections.abc import Collection
from typing import NamedTuple

from pipelines.examples import AddressError
from pipelines.tables.table import Table, listed

IMAGE_NAMES = (
    *("path", "image_path", "filepath", "file_path", "file", "filename", "file_name"),
    *("image", "image_id", "img", "photo", "picture", "id", "name"),
)
LABEL_NAMES = ("label", "labels", "class", "target", "category", "class_name", "breed", "species")


class PathColumns(NamedTuple):
    """The columns of paths and of classes; "" for one with a common name."""

    image: str = ""
    target: str = ""


def find_columns(table: Table, columns: PathColumns) -> PathColumns:
    """Return the names of both columns. Raises AddressError if one does not exist."""
    image = _find(table, columns.image, IMAGE_NAMES, "--image", "paths of pictures")
    others = [name for name in table.columns if name != image]
    if len(others) == 1 and not columns.target:
        return PathColumns(image, others[0])
    return PathColumns(image, _find(table, columns.target, LABEL_NAMES, "--target", "classes"))


def _find(table: Table, requested: str, names: Collection[str], flag: str, content: str) -> str:
    lower = {name.lower(): name for name in reversed([*table.columns])}
    found = next((lower[name] for name in names if name in lower), "")
    if (requested or found) in table.columns:
        return requested or found
    received = f"{flag} {requested!r}" if requested else f"no {flag}"
    raise AddressError(
        f"Received {received}; expected the column of {content}, one of "
        f"{listed(table.columns)}. Name it with {flag} COLUMN."
    )
