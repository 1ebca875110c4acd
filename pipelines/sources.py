"""Read a `--data` address into splits of images, or into tables."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipelines import addresses, tfds
from pipelines.examples import DataError
from pipelines.images import folders, path_tables, pixel_arrays, pixel_tables
from pipelines.images.path_columns import PathColumns
from pipelines.images.photos import (
    AlwaysFit,
    FitterFactory,
    SmallImageFitting,
    SquarePhotos,
)
from pipelines.inspection import Inspection
from pipelines.splits import Source, Splits, split_source
from pipelines.table_paths import TABLE_KINDS
from pipelines.tables import table_files
from pipelines.tables.table import Tables

Data = TypeVar("Data")


def load(
    address: str,
    *,
    embedded: Callable[[], Source],
    test: str = "",
    data_dir: Path | None = None,
    memory_budget: int | None = None,
    fitting: SquarePhotos | SmallImageFitting | None = None,
    arrays: bool = False,
    paths: PathColumns | None = None,
    inspection: Inspection | None = None,
) -> Splits:
    """Load the splits of images at a data address.

    Args:
        address: `embedded`, `tfds:NAME` for a set of tensorflow-datasets, or, if pictures are
            resized, `folder:PATH` for class folders. A plain path of an existing file or folder
            is an address too.
        embedded: makes the app's embedded data.
        test: address of a separate test set: its official test split, or else all of it. The
            official test split of `address` is then ignored.
        data_dir: directory of prepared TFDS sets; by default TFDS_DATA_DIR, then TFDS's default.
        memory_budget: bytes; larger sets are stored on the disk (see `store`).
        fitting: how pictures are resized to one size; None leaves them as they are.
        arrays: whether pixels are read from `npz:PATH` and `csv:PATH`.
        paths: the columns of tables of image files and their classes; None to read no such tables.
        inspection: collects what data checks need.

    Raises:
        DataError: if an address or its data cannot be used.

    """

    def readers(fitting: FitterFactory | None) -> dict[str, Callable[[str], Source]]:
        return _readers(embedded, data_dir, memory_budget, fitting, arrays, paths, inspection)

    loaded = _read_address(address, readers(fitting))
    if test:
        # Test pictures are resized to the size of the training pictures.
        shape = loaded.train.features.shape[1:]
        fit_alike = None if fitting is None else AlwaysFit(fitting.like(shape))
        test_source = _read_address(test, readers(fit_alike))
        if test_source.form != loaded.form:
            raise DataError(
                f"Received the test data {test!r} of form {test_source.form}; expected the form of "
                f"{address!r}, {loaded.form}. Give a test set with the same shapes and labels."
            )
        loaded = loaded._replace(test=test_source.test or test_source.train)
    return split_source(loaded)


def _readers(
    embedded: Callable[[], Source],
    data_dir: Path | None,
    memory_budget: int | None,
    fitting: FitterFactory | None,
    arrays: bool,
    paths: PathColumns | None,
    inspection: Inspection | None,
) -> dict[str, Callable[[str], Source]]:
    readers: dict[str, Callable[[str], Source]] = {
        "embedded": lambda _: embedded(),
        "tfds": lambda name: tfds.source(name, data_dir, memory_budget, fitting, inspection),
    }
    if fitting is not None:
        readers["folder"] = lambda name: folders.source(name, fitting, memory_budget, inspection)
    if arrays:
        readers |= {"npz": pixel_arrays.source, "csv": pixel_tables.source}
    if paths is not None and fitting is not None:
        for kind in TABLE_KINDS:
            readers[kind] = functools.partial(
                path_tables.source,
                kind,
                columns=paths,
                fitting=fitting,
                memory_budget=memory_budget,
                inspection=inspection,
            )
    return readers


def tables(
    address: str,
    embedded: Callable[[], Tables],
    *,
    test: str = "",
    data_dir: Path | None = None,
    inspection: Inspection | None = None,
) -> Tables:
    """Load the tables at an address: `embedded`, `tfds:NAME`, or `csv:PATH` and other formats.

    `test` is the address of a separate test set, as in `load`. Raises DataError if an address or
    its data cannot be used.
    """
    readers: dict[str, Callable[[str], Tables]] = {
        "embedded": lambda _: embedded(),
        "tfds": lambda name: tfds.tables(name, data_dir),
    }
    for kind in TABLE_KINDS:
        readers[kind] = functools.partial(table_files.read, kind, inspection=inspection)
    loaded = _read_address(address, readers)
    if test:
        test_tables = _read_address(test, readers)
        test_table = test_tables.train if test_tables.test is None else test_tables.test
        loaded = loaded._replace(test=test_table, notes=loaded.notes + test_tables.notes)
    if inspection:
        inspection.tables = loaded
    return loaded


def _read_address(address: str, readers: dict[str, Callable[[str], Data]]) -> Data:
    kind, name = addresses.parse_address(address, readers)
    return readers[kind](name)
