"""Read images whose paths and classes are columns of a table."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.examples import DataError
from pipelines.files import expand_home
from pipelines.images.class_folders import split_named_by
from pipelines.images.conversion import readable_names
from pipelines.images.folder_walk import walk_files
from pipelines.images.image_files import (
    SKIPPED,
    Listing,
    read,
    sample_shapes,
    undecodable_files,
)
from pipelines.images.path_columns import PathColumns, find_columns
from pipelines.images.photos import FitterFactory
from pipelines.images.skipped_files import notes as notes_on_skipped
from pipelines.inspection import Inspection
from pipelines.labels import cells_as_bytes, find_labels
from pipelines.splits import Source
from pipelines.table_paths import files_of
from pipelines.tables import table_files
from pipelines.tables.table import Table

SPLIT_NAMES = ("split", "subset", "set", "fold_name", "partition")
MAX_NAMED_FILES = 3  # in a message


def source(
    kind: str,
    name: str,
    columns: PathColumns,
    fitting: FitterFactory,
    memory_budget: int | None,
    inspection: Inspection | None = None,
) -> Source:
    """Read the images that a table names, with their classes.

    A path is relative to the folder of the table or to the current one, or absolute. If no such
    file exists, the file of this name below the folder of the table is taken, with or without its
    suffix, if there is only one. A column named split (subset, set) may say which rows are
    training, validation and test.

    Args:
        kind: of the table, such as csv.
        name: path of the table.
        columns: of paths and classes.
        fitting: how images are resized to one size.
        memory_budget: bytes; larger sets are stored on the disk (see `store`).
        inspection: collects what data checks need.

    Raises:
        AddressError: if a column does not exist.
        DataError: if no image can be read.

    """
    table = table_files.read(kind, name).train
    found = find_columns(table, columns)
    root = Path(files_of(kind, name)[0]).parent
    paths = _Files(root).find(_texts(table, found.image))
    cells = table.columns[found.target]
    exist = np.array([path is not None for path in paths])
    labels = find_labels([cells[exist]])
    classes = np.where(exist, labels.numbers(cells), SKIPPED)
    splits = np.where(classes == SKIPPED, "", _splits(table, found))
    listings = {
        split: _listing(root, paths, classes, np.flatnonzero(splits == split))
        for split in sorted({*splits.tolist()} - {""})
    }
    shapes = sample_shapes([path for one in listings.values() for path in one.paths], fitting)
    if "train" not in listings or not shapes:
        raise _no_image_error(kind, name, table, found)
    fit = fitting(shapes)
    examples = {split: read(one, fit, memory_budget, inspection) for split, one in listings.items()}
    if inspection:
        inspection.folders.extend(listings.items())
    parts = {
        split: part.select(np.flatnonzero(part.targets != SKIPPED))
        for split, part in examples.items()
    }
    skipped = undecodable_files(listings, labels.names, examples)
    totals = Counter(labels.names[number] for number in classes[classes >= 0])
    notes = (
        *_notes(table, found, exist, int((exist & (classes < 0)).sum())),
        *labels.notes,
        *notes_on_skipped(root, skipped, totals),
    )
    return Source(parts["train"], parts.get("valid"), parts.get("test"), labels.names, notes)


def _texts(table: Table, name: str) -> list[str]:
    cells = cells_as_bytes(table.columns[name])
    return [os.fsdecode(cell).strip() for cell in cells]


class _Files:
    """Finds files by the paths of a table: relative to its folder, or by their names below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, cells: list[str]) -> list[Path | None]:
        """Return the file of each cell, or None."""
        return [self._find(cell) if cell else None for cell in cells]

    def _find(self, cell: str) -> Path | None:
        path = expand_home(cell.replace("\\", "/"))
        for folder in (self.root, Path.cwd()):
            if os.path.isfile(folder / path):  # noqa: PTH113 - False for impossible paths
                return folder / path
        found = self._files_by_name().get(path.name, [])
        return found[0] if len(found) == 1 else None

    def _files_by_name(self) -> dict[str, list[Path]]:
        """Return all files below the folder by their names, with and without suffix."""
        if self._by_name is None:
            self._by_name = {}
            for path, problem in walk_files(self.root, self.root):
                for name in {path.name, path.stem} if not problem else ():
                    self._by_name.setdefault(name, []).append(path)
        return self._by_name


def _splits(table: Table, found: PathColumns) -> np.ndarray:
    """Return train, valid or test for each row, by a column of such words; else all train."""
    lower = {name.lower(): name for name in table.columns if name not in found}
    for name in SPLIT_NAMES:
        if name in lower:
            named = [split_named_by(cell) for cell in _texts(table, lower[name])]
            if all(named):
                return np.array([split for split, _ in filter(None, named)])
    return np.full(len(table), "train")


def _listing(
    root: Path, paths: list[Path | None], classes: np.ndarray, rows: np.ndarray
) -> Listing:
    found = [path for row in rows.tolist() if (path := paths[row])]
    return Listing(root, found, classes[rows].tolist(), [], [], [])


def _notes(
    table: Table, found: PathColumns, exist: np.ndarray, num_unlabelled: int
) -> Iterator[str]:
    yield f"paths in {found.image!r}, classes in {found.target!r}"
    missing = np.flatnonzero(~exist)
    if len(missing):
        names = [_texts(table, found.image)[row] for row in missing[:MAX_NAMED_FILES].tolist()]
        more = ", ..." * (len(missing) > MAX_NAMED_FILES)
        yield f"{len(missing)} rows without a file left out: {', '.join(map(repr, names))}{more}"
    if num_unlabelled:
        yield f"{num_unlabelled} rows without a class left out"


def _no_image_error(kind: str, name: str, table: Table, found: PathColumns) -> DataError:
    examples = ", ".join(map(repr, _texts(table, found.image)[:MAX_NAMED_FILES]))
    return DataError(
        f"Received {kind}:{name}, where no row has the path of a readable picture in "
        f"{found.image!r} ({examples}) and a class in {found.target!r}; expected paths relative "
        f"to the folder of the table, of {readable_names()} files. Name other columns with --image "
        "and --target."
    )
