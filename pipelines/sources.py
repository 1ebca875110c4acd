"""One `--data` address for every app becomes splits, or tables that a kind makes splits of."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipelines import addresses, tfds
from pipelines.examples import DataError
from pipelines.images import folders, pixel_arrays, pixel_tables
from pipelines.images.photos import FitterFactory, SmallImageFitting, SquarePhotos
from pipelines.inspection import Inspection
from pipelines.splits import Source, Splits, split_source
from pipelines.tables import csv_files
from pipelines.tables.table import Tables

Held = TypeVar("Held")


def load(
    address: str,
    *,
    embedded: Callable[[], Source],
    test: str = "",
    data_dir: Path | None = None,
    memory_budget: int | None = None,
    fitting: SquarePhotos | SmallImageFitting | None = None,
    arrays: bool = False,
    inspection: Inspection | None = None,
) -> Splits:
    """The splits of images that an address names.

    Args:
        address: `embedded`, `tfds:NAME` for a set of tensorflow-datasets, or,
            where pictures are fitted, `folder:PATH` for class folders. A plain path
            is an address by what is there.
        embedded: makes the app's own data.
        test: the address of a test set of its own: its official test split
            where it has one, else all of it. The official test split of
            `address` is then left alone.
        data_dir: where prepared TFDS sets lie; by default TFDS_DATA_DIR, then
            TFDS's own place.
        memory_budget: bytes; larger sets are kept on the disk (see `store`).
        fitting: how pictures of any size become one size; None takes them as
            they are.
        arrays: whether `npz:PATH` and `csv:PATH` are read, which hold pixels.
        inspection: of data checks.

    Raises:
        DataError: where an address or its data cannot be used.

    """

    def readers(fitting: FitterFactory | None) -> dict[str, Callable[[str], Source]]:
        return _readers(embedded, data_dir, memory_budget, fitting, arrays, inspection)

    own = _opened(address, readers(fitting))
    if test:
        # The pictures of the test set become as large as those of training.
        fit = fitting and fitting.like(own.train.features.shape[1:])
        other = _opened(test, readers(fit and (lambda _: fit)))
        if other.form != own.form:
            raise DataError(
                f"Received the test data {test!r} of form {other.form}; expected the form of "
                f"{address!r}, {own.form}. Give a test set with the same shapes and labels."
            )
        own = own._replace(test=other.test or other.train)
    return split_source(own)


def _readers(
    embedded: Callable[[], Source],
    data_dir: Path | None,
    memory_budget: int | None,
    fitting: FitterFactory | None,
    arrays: bool,
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
    return readers


def tables(
    address: str,
    embedded: Callable[[], Tables],
    *,
    test: str = "",
    data_dir: Path | None = None,
    inspection: Inspection | None = None,
) -> Tables:
    """The tables that an address names: `embedded`, `csv:PATH` (or the path) or `tfds:NAME`.

    `test` is the address of a test set of its own, as in `load`. Raises
    DataError where an address or its data cannot be used.
    """
    readers: dict[str, Callable[[str], Tables]] = {
        "embedded": lambda _: embedded(),
        "tfds": lambda name: tfds.tables(name, data_dir),
        "csv": lambda name: csv_files.read(name, inspection),
    }
    own = _opened(address, readers)
    if test:
        other = _opened(test, readers)
        held = other.train if other.test is None else other.test
        own = own._replace(test=held, notes=own.notes + other.notes)
    if inspection:
        inspection.tables = own
    return own


def _opened(address: str, readers: dict[str, Callable[[str], Held]]) -> Held:
    kind, name = addresses.parse_address(address, readers)
    return readers[kind](name)
